package gate

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// appendTo writes lines to the end of a file.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// access is a log with a gate that watches it for ten seconds.
func access(t *testing.T, c LogConfig) (path string, g Gate) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "access.log")
	appendTo(t, path, "GET /before-flip-looked\n")
	c.Path, c.Window = path, 10*time.Second
	built := build(t, Log(), c, Env{})
	t.Cleanup(func() { Close([]Named{{Gate: built}}) })
	return path, built
}

func TestALogPassesWhenAWholeWindowHadFewEnoughLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, g := access(t, LogConfig{Match: "GET", Not: "/healthz", Max: 1})
		var got []string
		at := func(d time.Duration, text string) {
			time.Sleep(d)
			appendTo(t, path, text)
			got = append(got, look(t, g))
		}
		at(0, "")
		at(2*time.Second, "GET /a\nPOST /b\n")
		at(2*time.Second, "GET /healthz\n")
		at(2*time.Second, "GET /c\n")
		at(8*time.Second, "")
		at(2*time.Second, "")
		want := []string{
			"undecided: 0 lines so far, 10s more to look at",
			"undecided: 1 line so far, 8s more to look at",
			"undecided: 1 line so far, 6s more to look at",
			"no: more than 1 line in 10s, the last 0s ago: GET /c",
			"pass: 1 line in 10s",
			"pass: 0 lines in 10s",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("looks (-want +got):\n%s", diff)
		}
	})
}

func TestALogIsFollowedThroughRotationAndTruncation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, g := access(t, LogConfig{Match: "GET"})
		if got := look(t, g); got != "undecided: 0 lines so far, 10s more to look at" {
			t.Fatal(got)
		}
		time.Sleep(11 * time.Second)
		old := path + ".1"
		if err := os.Rename(path, old); err != nil {
			t.Fatal(err)
		}
		if got := look(t, g); !strings.HasPrefix(got, "blind: log "+path+" is not there") {
			t.Error(got)
		}
		appendTo(t, path, "")
		appendTo(t, old, "GET /writer-has-the-old-file-open\n")
		if got := look(t, g); got != "no: more than 0 lines in 10s, the last 0s ago: GET /writer-has-the-old-file-open" {
			t.Error(got)
		}
		time.Sleep(11 * time.Second)
		appendTo(t, path, "GET /new\n")
		if got := look(t, g); got != "no: more than 0 lines in 10s, the last 0s ago: GET /new" {
			t.Error(got)
		}
		time.Sleep(11 * time.Second)
		if got := look(t, g); got != "pass: 0 lines in 10s" {
			t.Error(got)
		}
		write(t, path, "POST /grown again beyond the old place\nPOST /x\n")
		if got := look(t, g); got != "undecided: 0 lines so far; the log was cut while flip watched, counting anew" {
			t.Error(got)
		}
		time.Sleep(9 * time.Second)
		if got := look(t, g); got != "undecided: 0 lines so far, 1s more to look at" {
			t.Error(got)
		}
		write(t, path, "")
		if got := look(t, g); got != "undecided: 0 lines so far; the log was cut while flip watched, counting anew" {
			t.Error(got)
		}
		appendTo(t, path, "GET /a")
		if got := look(t, g); got != "undecided: 0 lines so far, 10s more to look at" {
			t.Error(got)
		}
		appendTo(t, path, "gain\n")
		if got := look(t, g); got != "no: more than 0 lines in 10s, the last 0s ago: GET /again" {
			t.Error(got)
		}
	})
}

func TestWhatIsNoLogCouldNotBeLookedAt(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                          "is no file but d",
		filepath.Join(dir, "absent"): "is not there",
	} {
		g := build(t, Log(), LogConfig{Path: path}, Env{})
		if got := look(t, g); !strings.HasPrefix(got, "blind: log") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLogConfigValidate(t *testing.T) {
	for want, c := range map[string]LogConfig{
		"path is missing":    {},
		"cannot be negative": {Path: "x", Window: -1},
		"match: ":            {Path: "x", Match: "("},
		"not: ":              {Path: "x", Not: "["},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
}

func TestALookAtALogIsBounded(t *testing.T) {
	path, g := access(t, LogConfig{Match: "GET", Max: 5})
	look(t, g)
	appendTo(t, path, strings.Repeat(strings.Repeat("x", 1<<20)+"\n", mostTail>>20+3))
	if got := look(t, g); !strings.Contains(got, "MiB of the log are still to be read") {
		t.Error(got)
	}
	if got := look(t, g); !strings.HasPrefix(got, "undecided: 0 lines so far, ") || !strings.HasSuffix(got, " more to look at") {
		t.Error(got)
	}
}

// cutLines is what a lineReader has to do, said simply.
func cutLines(all []byte) []string {
	var out []string
	for {
		line, rest, ended := bytes.Cut(all, []byte{'\n'})
		if !ended {
			return out
		}
		out = append(out, string(bytes.TrimSuffix(line[:min(len(line), mostLine)], []byte{'\r'})))
		all = rest
	}
}

func TestALongLineIsCutAndEndsWhereItEnds(t *testing.T) {
	var r lineReader
	var got []int
	for _, chunk := range []string{strings.Repeat("x", mostLine), strings.Repeat("y", mostLine), "z\nshort\n"} {
		r.take([]byte(chunk), func(l []byte) { got = append(got, len(l)) })
	}
	if diff := cmp.Diff([]int{mostLine, len("short")}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func FuzzLinesAreTheSameHoweverTheyArrive(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nc"), 1, 0)
	f.Add([]byte("GET / HTTP/1.1\n"), 7, mostLine-3)
	f.Add([]byte(strings.Repeat("x\n", 50)), 3, 2*mostLine)
	f.Fuzz(func(t *testing.T, text []byte, size, pad int) {
		if size < 1 || pad < 0 || pad > 3*mostLine {
			return
		}
		all := append(bytes.Repeat([]byte("p"), pad), text...)
		var r lineReader
		var got []string
		for chunk := range slices.Chunk(all, size) {
			r.take(chunk, func(l []byte) { got = append(got, string(l)) })
			if len(r.part) > mostLine {
				t.Fatalf("%d bytes are kept", len(r.part))
			}
		}
		if diff := cmp.Diff(cutLines(all), got); diff != "" {
			t.Errorf("size %d (-want +got):\n%s", size, diff)
		}
	})
}
