package traffic

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// response is what the generator wants to know of an answer; the body is read and thrown away.
type response struct {
	status  int
	server  string // X-Srv
	version string // X-Version
	cookie  string // "NAME=VALUE" of Set-Cookie
	closes  bool   // the connection ends with this answer
}

// errMalformed marks bytes that are not an HTTP/1.1 response (RFC 9112).
var errMalformed = errors.New("malformed response")

// parser reads responses from one connection. Names are kept, so that a usual answer costs no allocation.
type parser struct {
	r     *bufio.Reader
	names map[string]string
}

// read reads one response to its end, skipping interim ones (RFC 9110 15.2). Whatever cuts it is an error.
func (p *parser) read() (response, error) {
	for {
		resp, length, chunked, err := p.head()
		if err != nil {
			return resp, err
		}
		if resp.status >= 100 && resp.status < 200 {
			continue
		}
		return resp, p.body(&resp, length, chunked)
	}
}

// head reads the status line and the headers; length is -1 when no Content-Length was sent.
func (p *parser) head() (resp response, length int64, chunked bool, err error) {
	length = -1
	line, err := p.line()
	if err != nil {
		return resp, length, false, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return resp, length, false, fmt.Errorf("%w: status line %.40q", errMalformed, line)
	}
	resp.status, err = strconv.Atoi(string(line[9:12]))
	if err != nil || resp.status < 100 {
		return resp, length, false, fmt.Errorf("%w: status line %.40q", errMalformed, line)
	}
	resp.closes = line[7] == '0'
	for {
		line, err := p.line()
		if err != nil {
			return resp, length, false, err
		}
		if len(line) == 0 {
			return resp, length, chunked, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return resp, length, false, fmt.Errorf("%w: header %.40q", errMalformed, line)
		}
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "content-length"):
			length, err = strconv.ParseInt(string(value), 10, 64)
			if err != nil || length < 0 {
				return resp, length, false, fmt.Errorf("%w: content-length %.40q", errMalformed, value)
			}
		case is(name, "transfer-encoding"):
			chunked = is(value, "chunked")
		case is(name, "connection"):
			resp.closes = is(value, "close")
		case is(name, "x-srv"):
			resp.server = p.name(value)
		case is(name, "set-cookie"):
			pair, _, _ := bytes.Cut(value, []byte(";"))
			resp.cookie = p.name(bytes.TrimSpace(pair))
		case is(name, "x-version"):
			resp.version = p.name(value)
		}
	}
}

func (p *parser) body(resp *response, length int64, chunked bool) error {
	switch {
	case resp.status == 204 || resp.status == 304:
		return nil
	case chunked:
		return p.chunks()
	case length >= 0:
		return p.discard(length)
	default: // the end of the connection is the end of the body, cut or not: nobody can tell (RFC 9112 8)
		resp.closes = true
		_, err := io.Copy(io.Discard, p.r)
		return err
	}
}

func (p *parser) chunks() error {
	for {
		line, err := p.line()
		if err != nil {
			return err
		}
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseInt(string(bytes.TrimSpace(digits)), 16, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("%w: chunk size %.40q", errMalformed, line)
		}
		if err := p.discard(size); err != nil {
			return err
		}
		if size == 0 {
			return p.trailers()
		}
		if line, err = p.line(); err != nil {
			return err
		} else if len(line) > 0 {
			return fmt.Errorf("%w: chunk ends with %.40q", errMalformed, line)
		}
	}
}

func (p *parser) trailers() error {
	for {
		line, err := p.line()
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

func (p *parser) discard(n int64) error {
	for n > 0 {
		part := min(n, 1<<30)
		if _, err := p.r.Discard(int(part)); err != nil {
			return noEOF(err)
		}
		n -= part
	}
	return nil
}

// line returns the next line without its end; it is valid until the next read.
func (p *parser) line() ([]byte, error) {
	line, err := p.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: line longer than %d bytes", errMalformed, p.r.Size())
	}
	if err != nil {
		return nil, noEOF(err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (p *parser) name(value []byte) string {
	if s, ok := p.names[string(value)]; ok {
		return s
	}
	s := string(value)
	if len(p.names) < 64 {
		p.names[s] = s
	}
	return s
}

func is(text []byte, lower string) bool { return bytes.EqualFold(text, []byte(lower)) }
