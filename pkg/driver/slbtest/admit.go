package slbtest

import (
	"crypto/hmac"
	"net/http"
	"time"
)

// window is how far a timestamp may be off (help.aliyun.com 48054).
const window = 15 * time.Minute

// admit checks what the gateway checks before it looks at the action. The
// order of the checks has no source.
func (s *Server) admit(r *http.Request) (*call, error) {
	if r.TLS == nil && !s.o.PlainHTTP {
		return nil, fail(errNeedSSL)
	}
	if r.URL.Path != "/" || (r.Method != http.MethodPost && r.Method != http.MethodGet) {
		return nil, refuse(http.StatusNotFound, "InvalidApi.NotFound", "RPC calls are POST / or GET /, not %s %s.", r.Method, r.URL.Path)
	}
	flat, err := readParams(r)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Action", "Version", "AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp", "Format"} {
		if flat[name] == "" {
			return nil, missing(name)
		}
	}
	for name, only := range map[string]string{"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "SignatureType": "", "Format": "JSON"} {
		if flat[name] != only {
			return nil, invalid("The parameter %q can only be %q here, not %q.", name, only, flat[name])
		}
	}
	stamp, err := time.Parse("2006-01-02T15:04:05Z", flat["Timestamp"])
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.authenticate(r.Method, flat, stamp)
	if err != nil {
		return nil, err
	}
	product, action := s.lookUp(flat["Version"], flat["Action"])
	if action == nil {
		return nil, refuse(http.StatusNotFound, "InvalidApi.NotFound", "Specified api is not found: %s %s.", flat["Action"], flat["Version"])
	}
	if region, ok := flat["RegionId"]; product != "alidns" && (!ok || region != s.o.Region) {
		return nil, refuse(http.StatusNotFound, "InvalidRegionId.NotFound", "The region %q does not exist here, only %q.", region, s.o.Region)
	}
	return &call{key: key, Call: &Call{
		At: time.Now(), Product: product, Action: flat["Action"], Params: ownParams(flat), RequestID: s.nextID(), Write: action.write,
	}}, nil
}

// authenticate needs mu.
func (s *Server) authenticate(method string, flat map[string]string, stamp time.Time) (Key, error) {
	now := s.o.Now()
	key, ok := s.keys[flat["AccessKeyId"]]
	if !ok {
		return key, refuse(http.StatusNotFound, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
	}
	if off := now.Sub(stamp); off > window || off < -window {
		return key, refuse(http.StatusBadRequest, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
	}
	text := stringToSign(method, flat)
	if !hmac.Equal([]byte(signature(key.Secret, text)), []byte(flat["Signature"])) {
		return key, refuse(http.StatusBadRequest, "SignatureDoesNotMatch",
			"Specified signature is not matched with our calculation. server string to sign is:%s", text)
	}
	nonce := key.ID + " " + flat["SignatureNonce"]
	for k, seen := range s.nonces {
		if now.Sub(seen) > 2*window {
			delete(s.nonces, k)
		}
	}
	if _, used := s.nonces[nonce]; used {
		return key, refuse(http.StatusBadRequest, "SignatureNonceUsed", "Specified signature nonce was used already.")
	}
	s.nonces[nonce] = now
	return key, s.keyIsGood(key, flat["SecurityToken"], now)
}

// keyIsGood looks at the token and the end of a key whose signature was right.
func (s *Server) keyIsGood(key Key, token string, now time.Time) error {
	expired := !key.Expires.IsZero() && !now.Before(key.Expires)
	switch {
	case key.Token != "" && token == "":
		return fail(errTokenMissing)
	case key.Token != token:
		return fail(errTokenWrong)
	case expired && key.Token != "":
		return fail(errTokenExpired)
	case expired:
		return fail(errKeyInactive)
	}
	return nil
}
