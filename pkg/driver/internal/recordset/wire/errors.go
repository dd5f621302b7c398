package wire

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Error is what a server said instead of doing what it was asked for.
type Error struct {
	Server string
	// Code is the response code: REFUSED, NOTAUTH, NXRRSET, ...
	Code string
	// Signature is the TSIG error: BADSIG, BADKEY, BADTIME; empty when the
	// signature was not the reason.
	Signature string
	// Ahead is how far the server's clock is ahead of this one, with BADTIME
	// where the server tells; 0 when it does not.
	Ahead time.Duration
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s answers %s", e.Server, e.Code)
	if e.Signature != "" {
		text += " (" + e.Signature + ")"
	}
	return text
}

// refused reads the codes of an answer. NXDOMAIN is an answer to a question.
func (c Client) refused(server string, m, r *dns.Msg) error {
	e := &Error{Server: server, Code: dns.RcodeToString[r.Rcode]}
	if e.Code == "" {
		e.Code = fmt.Sprintf("RCODE%d", r.Rcode)
	}
	if t := r.IsTsig(); t != nil && t.Error != dns.RcodeSuccess {
		e.Signature = signatureError(t.Error)
		if t.Error == dns.RcodeBadTime {
			e.Ahead = c.ahead(t)
		}
		return e
	}
	if r.Rcode == dns.RcodeSuccess || (r.Rcode == dns.RcodeNameError && m.Opcode == dns.OpcodeQuery) {
		return nil
	}
	return e
}

func signatureError(code uint16) string {
	switch code {
	case dns.RcodeBadSig: // BADVERS has the same number
		return "BADSIG"
	case dns.RcodeBadKey:
		return "BADKEY"
	case dns.RcodeBadTime:
		return "BADTIME"
	}
	if text := dns.RcodeToString[int(code)]; text != "" {
		return text
	}
	return fmt.Sprintf("TSIG error %d", code)
}

// ahead compares the server's time, which comes with BADTIME in six bytes
// (RFC 8945, 5.2.3), with the one that is signed with here.
func (c Client) ahead(t *dns.TSIG) time.Duration {
	b, err := hex.DecodeString(t.OtherData)
	if err != nil || len(b) != 6 {
		return 0
	}
	var server int64
	for _, part := range b {
		server = server<<8 | int64(part)
	}
	return time.Unix(server, 0).Sub(c.now()).Round(time.Second)
}

// IsCode reports whether a server answered with one of these codes.
func (e *Error) IsCode(codes ...string) bool {
	for _, c := range codes {
		if strings.EqualFold(e.Code, c) {
			return true
		}
	}
	return false
}
