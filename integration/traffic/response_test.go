package traffic

import (
	"bufio"
	"bytes"
	"testing"
)

func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Srv: a\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n<html>",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := parser{r: bufio.NewReaderSize(bytes.NewReader(data), 256), names: map[string]string{}}
		resp, err := p.read()
		if err == nil && (resp.status < 200 || resp.status > 999) {
			t.Errorf("status %d was taken for a final answer", resp.status)
		}
	})
}

func TestReadingAUsualAnswerAllocatesNothing(t *testing.T) {
	answer := []byte("HTTP/1.1 200 OK\r\nx-srv: a\r\nx-version: v1\r\ncontent-length: 5\r\n\r\na v1\n")
	source := bytes.NewReader(answer)
	p := parser{r: bufio.NewReader(source), names: map[string]string{}}
	allocs := testing.AllocsPerRun(100, func() {
		source.Reset(answer)
		p.r.Reset(source)
		if _, err := p.read(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("%v allocations an answer, want at most 1 (the length)", allocs)
	}
}
