package slbtest

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// paged is a page of ALB and NLB lists: 20 entries by default, at most 100
// (META). A NextToken is good for the list that it came from only.
func paged[T any](s *Server, scope string, all []T, next string, most int) ([]T, reply, error) {
	orElse(&most, 20)
	if most < 1 || most > 100 {
		return nil, nil, invalid("MaxResults %d is not in 1..100.", most)
	}
	from := 0
	if next != "" {
		at, ok := s.pages[scope+" "+next]
		if !ok {
			return nil, nil, invalid("The specified NextToken %q is not valid.", next)
		}
		from = min(at, len(all))
	}
	to := min(from+most, len(all))
	body := reply{"TotalCount": len(all), "MaxResults": most, "NextToken": ""}
	if to < len(all) {
		sum := sha256.Sum256([]byte(scope + strconv.Itoa(to)))
		token := hex.EncodeToString(sum[:16])
		s.pages[scope+" "+token] = to
		body["NextToken"] = token
	}
	return all[from:to], body, nil
}
