package journal

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// fileView is the View of a FileStore.
type fileView struct {
	id, dir string
	c       chain
	looks   []Record
	looked  int64 // bytes of the file of looks that were read
	began   bool
}

func (v *fileView) ID() string        { return v.id }
func (v *fileView) Dir() string       { return v.dir }
func (v *fileView) Records() []Record { return slices.Clip(v.c.records) }
func (v *fileView) Looks() []Record   { return slices.Clip(v.looks) }

func (v *fileView) Refresh(context.Context) ([]Record, error) {
	fresh, err := v.refreshChain()
	if err != nil {
		return nil, err
	}
	looks, err := v.refreshLooks()
	if err != nil {
		return nil, err
	}
	fresh = slices.Concat(fresh, looks)
	slices.SortStableFunc(fresh, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return fresh, nil
}

func (v *fileView) refreshChain() ([]Record, error) {
	path := filepath.Join(v.dir, journalFile)
	before := v.c.records
	data, size, err := readFrom(path, v.c.end)
	if err != nil {
		return nil, err
	}
	next := v.c
	next.file = path
	if err := next.feed(data); err == nil && size >= next.end {
		v.c = next
		return v.c.records[len(before):], nil
	}
	// A record that was read, but never became durable, may have been taken
	// back and another one written in its place.
	data, _, err = readFrom(path, 0)
	if err != nil {
		return nil, err
	}
	again := chain{file: path}
	if err := again.feed(data); err != nil {
		return nil, err
	}
	v.c = again
	same := 0
	for same < min(len(before), len(again.records)) && before[same].Sum == again.records[same].Sum {
		same++
	}
	return again.records[same:], nil
}

func (v *fileView) refreshLooks() ([]Record, error) {
	if !v.began {
		looks, size, err := readAllLooks(v.dir)
		v.looks, v.looked, v.began = looks, size, err == nil
		return looks, err
	}
	data, size, err := readFrom(filepath.Join(v.dir, looksFile), v.looked)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && size < v.looked { // turned over
		v.looked = 0
		data, _, err = readFrom(filepath.Join(v.dir, looksFile), 0)
	}
	if err != nil {
		return nil, err
	}
	whole := cut(data)
	v.looked += int64(len(whole))
	fresh := readLooks(whole)
	v.looks = append(v.looks, fresh...)
	return fresh, nil
}

// cut returns data up to its last newline.
func cut(data []byte) []byte {
	for i := len(data); i > 0; i-- {
		if data[i-1] == '\n' {
			return data[:i]
		}
	}
	return nil
}

// readFrom returns what follows offset in the file, and the file's size.
func readFrom(path string, offset int64) ([]byte, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.NewSectionReader(f, offset, max(0, info.Size()-offset)))
	return data, info.Size(), err
}
