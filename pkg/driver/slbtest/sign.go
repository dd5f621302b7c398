package slbtest

import (
	"crypto/hmac"
	"crypto/sha1" // RPC v1 signs with HMAC-SHA1
	"encoding/base64"
	"slices"
	"strings"
)

// stringToSign is what an RPC v1 request signs: all parameters of query and
// form but Signature (help.aliyun.com, "RPC mechanism").
func stringToSign(method string, params map[string]string) string {
	keys := make([]string, 0, len(params))
	for k := range params {
		if k != "Signature" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var canonical strings.Builder
	for i, k := range keys {
		if i > 0 {
			canonical.WriteByte('&')
		}
		canonical.WriteString(percent(k))
		canonical.WriteByte('=')
		canonical.WriteString(percent(params[k]))
	}
	return method + "&%2F&" + percent(canonical.String())
}

// signature of a string with the secret of an access key.
func signature(secret, text string) string {
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(text)) // a hash does not fail
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// percent is RFC 3986: all but A-Z a-z 0-9 - _ . ~ as %XX.
func percent(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
