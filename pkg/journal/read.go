package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// chain is what was read of a journal so far.
type chain struct {
	file    string
	records []Record
	next    string // Prev of the record to come
	end     int64  // offset behind the last whole record
}

// Read checks the journal in data and returns its records and how many bytes
// they take. Bytes behind that are a torn tail: a record that was never
// durable. A journal that was changed is a *CorruptError, one of a newer flip
// a *NewerError; file is what they call it.
func Read(file string, data []byte) ([]Record, int64, error) {
	c := chain{file: file}
	err := c.feed(data)
	return c.records, c.end, err
}

// feed reads on in data, which begins at offset c.end of the file.
func (c *chain) feed(data []byte) error {
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n')
		if n < 0 || torn(data, n) {
			return nil
		}
		r, next, err := c.parse(data[:n])
		if err != nil {
			return err
		}
		c.push(r, next, n+1)
		data = data[n+1:]
	}
	return nil
}

func (c *chain) push(r Record, next string, size int) {
	c.records = append(c.records, r)
	c.next = next
	c.end += int64(size)
}

// torn reports whether the line data[:n], which ends with a newline, is the
// last one and has holes: after a power failure a file system may show blocks
// that it never wrote as zeros. Anything else that is wrong in a whole line is
// no accident of writing.
func torn(data []byte, n int) bool {
	return n+1 == len(data) && bytes.IndexByte(data, 0) >= 0
}

func (c *chain) parse(line []byte) (Record, string, error) {
	var r Record
	seq := len(c.records) + 1
	if err := json.Unmarshal(line, &r); err != nil {
		return r, "", c.corrupt("not a record: " + err.Error())
	}
	if seq == 1 && r.V > Format {
		return r, "", Newer(NewerError{c.file, "format", strconv.Itoa(r.V), strconv.Itoa(Format)})
	}
	sum, next, ok := hashes(line)
	switch {
	case !ok || r.Sum != sum:
		return r, "", c.corrupt("its text does not match its sum")
	case r.Seq != seq:
		return r, "", c.corrupt(fmt.Sprintf("it says that it is record %d", r.Seq))
	case r.Prev != c.next:
		return r, "", c.corrupt("it does not follow the record before")
	case seq == 1 && r.V != Format:
		return r, "", c.corrupt("it does not say its format")
	}
	return r, next, nil
}

func (c *chain) corrupt(why string) error {
	return corrupt(&CorruptError{File: c.file, Record: len(c.records) + 1, Offset: c.end, Why: why})
}

// readLooks returns the observations in data. Lines that cannot be read are
// left out: losing looks changes nothing.
func readLooks(data []byte) []Record {
	var looks []Record
	for line := range bytes.Lines(data) {
		var r Record
		if json.Unmarshal(line, &r) == nil && r.Type == TypeLook {
			looks = append(looks, r)
		}
	}
	return looks
}
