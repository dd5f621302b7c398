package aliyun

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"

	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// Class says what can be done about a failed call.
type Class int

// The classes. Ambiguous: it may have taken effect.
const (
	Other Class = iota
	Throttled
	Busy
	Ambiguous
	NotFound
	Auth
	Invalid
)

func (c Class) String() string {
	return [...]string{"other", "throttled", "busy", "ambiguous", "not found", "auth", "invalid"}[c]
}

// Error is a failed call. It never holds a signed URL.
type Error struct {
	Class     Class
	Product   string
	Action    string
	Resource  string // what the call was about; may be empty
	Code      string // of the API; empty when it did not answer
	Message   string
	RequestID string
	Status    int // of HTTP; 0 when there was no answer
	Write     bool
	Who       string // asked: the provider of the credentials and the end of the key
	Err       error

	unsent bool // there was nobody, or nobody to trust, to send it to
}

func (e *Error) Error() string {
	text := e.Action
	if e.Resource != "" {
		text += " " + e.Resource
	}
	switch {
	case e.Code != "":
		text += ": " + e.Code
		if e.Message != "" && e.Message != e.Code {
			text += ": " + strings.TrimRight(e.Message, ". ")
		}
	case e.Status != 0:
		text += fmt.Sprintf(": HTTP status %d without a code", e.Status)
		if e.Err != nil {
			text += ": " + e.Err.Error()
		}
	case e.Err != nil:
		text += ": " + e.Err.Error()
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Unwrap gives the cause: the end of a context, a refused connection.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf is the class of an error of this package, Other for any other.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Other
}

// CodeIs reports whether err is the API's with that code, whatever its case.
func CodeIs(err error, codes ...string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && slices.ContainsFunc(codes, func(c string) bool { return strings.EqualFold(c, e.Code) })
}

// busy are the codes of a resource that something else is changing at the
// moment, in lower case. Sources: the SLB page of common error codes, the
// retry lists of terraform-provider-alicloud (errors.go, SlbIsBusy) and of the
// cloud controller for ALB and NLB.
var busy = []string{
	"systembusy", "operationbusy", "serviceisstopping", "serviceisconfiguring", "backendserver.configuring", "vservergroupprocessing",
	"operationconflict", "operationfailed.listenerstatusnotsupport",
	"incorrectstatus.servergroup", "incorrectstatus.listener", "incorrectstatus.rule", "incorrectbusinessstatus.loadbalancer",
	"idempotenceprocessing", "resourceinconfiguring.listener", "resourceinconfiguring", "vipstatusnotsupport",
	"-22001", "-21013", "-22031", "-21020",
	"conflict.lock", "operationfailed.resourceisconfiguring",
	"lastoperationnotfinished", "recordforbidden.dnschange",
}

// nonce: the SDK makes a new one for each try, so a used one is bad luck.
const nonceUsed = "signaturenonceused"

func classify(code string, status int) Class {
	c := strings.ToLower(code)
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(c, p) })
	}
	switch {
	case strings.Contains(c, "throttling"):
		return Throttled
	case slices.Contains(busy, c), c == nonceUsed:
		return Busy
	case has("invalidaccesskeyid", "invalidaccesskeysecret", "signaturedoesnotmatch", "incompletesignature", "forbidden", "invalidsecuritytoken",
		"invalidtimestamp", "nopermission", "missingsecuritytoken", "unauthorized"):
		return Auth
	case c == "":
		return Ambiguous
	case c == "serviceunavailable", c == "internalerror", status >= 500:
		return Ambiguous
	case strings.Contains(c, "notfound"), strings.Contains(c, "noexist"), strings.Contains(c, "notexist"):
		return NotFound
	case status >= 400:
		return Invalid
	}
	return Other
}

// explain makes an Error of what the SDK returned.
func explain(req Request, err error, scrub func(string) string) *Error {
	e := req.failed()
	if server, ok := errors.AsType[*sdkerrors.ServerError](err); ok {
		e.Code, e.Message, e.RequestID, e.Status = brief(scrub(server.ErrorCode())), brief(scrub(server.Message())), brief(scrub(server.RequestId())), server.HttpStatus()
		if e.Code == "" {
			e.Message = ""
		}
		e.Class = classify(e.Code, e.Status)
		return e
	}
	e.Class, e.Err = Ambiguous, bare(err, scrub)
	if before, ok := errors.AsType[*beforeError](err); ok {
		e.Class, e.Err = before.class, before.err
	}
	if neverSent(err) {
		e.Class, e.unsent = Other, true
	}
	return e
}

// neverSent: there was no connection, or nobody on it to trust.
func neverSent(err error) bool {
	op, dialing := errors.AsType[*net.OpError](err)
	_, unproven := errors.AsType[*tls.CertificateVerificationError](err)
	return unproven || (dialing && op.Op == "dial")
}

// brief cuts off what the gateway signed: it holds the access key.
func brief(message string) string {
	if i := strings.Index(strings.ToLower(message), "server string to sign"); i >= 0 {
		message = strings.TrimRight(message[:i], " ,;:.")
	}
	const most = 300
	if len(message) > most {
		message = message[:most] + "..."
	}
	return strings.Join(strings.Fields(message), " ")
}

// bare drops the URL of a failed request, which is the signed one.
func bare(err error, scrub func(string) string) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return err
	}
	return errors.New(brief(scrub(err.Error())))
}

// beforeError is one that no request was sent for.
type beforeError struct {
	class Class
	err   error
}

func (b *beforeError) Error() string { return b.err.Error() }
func (b *beforeError) Unwrap() error { return b.err }

// ForDriver marks err for the engine: what cannot get better is permanent, a
// write whose fate nobody knows is uncertain. It adds the hint of the class. It
// may be nil.
func ForDriver(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	err = advise(err, e)
	switch e.Class {
	case NotFound:
		return driver.Permanent(&marked{err, driver.ErrNotFound})
	case Auth, Invalid:
		return driver.Permanent(err)
	case Ambiguous:
		if e.Write {
			return driver.Uncertain(err)
		}
	case Throttled, Busy, Other:
	}
	return err
}

type marked struct {
	error
	mark error
}

func (m *marked) Unwrap() []error { return []error{m.error, m.mark} }

func advise(err error, e *Error) error {
	switch {
	case e.Class == Throttled:
		return hint.Wrap(err, "the limit is per account and API, all programs together (see Quota Center); lower rate, raise retry_for, or stop what else asks")
	case e.Class == Busy:
		return hint.Wrap(err, "something else changes the same thing; wait for it, or raise retry_for")
	case e.unsent:
		return hint.Wrap(err, "nothing was sent: look at region, network, endpoint and tls of the target, at HTTPS_PROXY, and at the firewall")
	case e.Class != Auth:
		return err
	}
	code := strings.ToLower(e.Code)
	switch {
	case code == "":
		return err // there were no credentials; that has its own hint
	case strings.HasPrefix(code, "forbidden"), strings.HasPrefix(code, "nopermission"), strings.HasPrefix(code, "unauthorized"):
		return hint.Wrap(err, "allow %s:%s to %s; `flip drivers %s` prints the whole policy", e.Product, e.Action, e.Who, e.Product)
	case strings.HasPrefix(code, "invalidtimestamp"):
		return hint.Wrap(err, "the clock of this machine is more than 15 minutes off")
	case strings.HasPrefix(code, "invalidsecuritytoken"):
		return hint.Wrap(err, "the security token has expired or does not belong to the key: renew it; asked as %s", e.Who)
	}
	return hint.Wrap(err, "check the access key and its secret; asked as %s", e.Who)
}
