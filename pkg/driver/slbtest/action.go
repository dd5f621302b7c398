package slbtest

// reply is the body of an answer; RequestId is added to it.
type reply = map[string]any

// action is something that the API can do.
type action struct {
	write bool
	// run is called with the server's lock held. It either changes nothing
	// and returns an error, or does what was asked.
	run func(*Server, *call) (reply, error)
}

// read and write make an action of a method that takes its request decoded.
func read[R any](fn func(*Server, *call, R) (reply, error)) *action {
	return &action{run: decoded(fn)}
}

func write[R any](fn func(*Server, *call, R) (reply, error)) *action {
	return &action{write: true, run: decoded(fn)}
}

func decoded[R any](fn func(*Server, *call, R) (reply, error)) func(*Server, *call) (reply, error) {
	return func(s *Server, c *call) (reply, error) {
		var request R
		if err := decodeParams(c.Params, &request); err != nil {
			return nil, err
		}
		return fn(s, c, request)
	}
}

// versions are the products by the version of their API, which is unique.
var versions = map[string]string{
	"2014-05-15": "slb",
	"2020-06-16": "alb",
	"2022-04-30": "nlb",
	"2015-01-09": "alidns",
}

// lookUp finds an action. Names are case-sensitive.
func (s *Server) lookUp(version, name string) (string, *action) {
	product := versions[version]
	return product, s.actions[product][name]
}

func actions() map[string]map[string]*action {
	return map[string]map[string]*action{"slb": clbActions(), "alb": albActions(), "nlb": nlbActions(), "alidns": dnsActions()}
}
