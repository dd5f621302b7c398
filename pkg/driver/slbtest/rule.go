package slbtest

// The actions and conditions of ALB rules have the names and the nesting that
// they have in requests (RuleActions.1.ForwardGroupConfig...) and in answers.

// Action is one thing that an ALB rule does.
type Action struct {
	Order               int                  `api:"required"`
	Type                string               `api:"required"`
	ForwardGroupConfig  *ForwardGroupConfig  `json:",omitempty"`
	InsertHeaderConfig  *InsertHeaderConfig  `json:",omitempty"`
	RemoveHeaderConfig  *RemoveHeaderConfig  `json:",omitempty"`
	FixedResponseConfig *FixedResponseConfig `json:",omitempty"`
	RedirectConfig      *RedirectConfig      `json:",omitempty"`
	RewriteConfig       *RewriteConfig       `json:",omitempty"`
	TrafficLimitConfig  *TrafficLimitConfig  `json:",omitempty"`
}

// ForwardGroupConfig is of ForwardGroup.
type ForwardGroupConfig struct {
	ServerGroupTuples        []Tuple
	ServerGroupStickySession *StickySession `json:",omitempty"`
}

// Tuple is a server group and its weight, 0..100.
type Tuple struct {
	ServerGroupId string `api:"required"`
	Weight        *int   `json:",omitempty"`
}

// StickySession keeps a client at a server group.
type StickySession struct {
	Enabled bool
	Timeout int `json:",omitempty"`
}

// InsertHeaderConfig is of InsertHeader.
type InsertHeaderConfig struct {
	Key          string
	Value        string
	ValueType    string `json:",omitempty"`
	CoverEnabled bool
}

// RemoveHeaderConfig is of RemoveHeader.
type RemoveHeaderConfig struct {
	Key string
}

// FixedResponseConfig is of FixedResponse.
type FixedResponseConfig struct {
	Content     string
	ContentType string `json:",omitempty"`
	HttpCode    string `json:",omitempty"`
}

// RedirectConfig is of Redirect.
type RedirectConfig struct {
	Host     string `json:",omitempty"`
	HttpCode string `json:",omitempty"`
	Path     string `json:",omitempty"`
	Port     string `json:",omitempty"`
	Protocol string `json:",omitempty"`
	Query    string `json:",omitempty"`
}

// RewriteConfig is of Rewrite.
type RewriteConfig struct {
	Host  string `json:",omitempty"`
	Path  string `json:",omitempty"`
	Query string `json:",omitempty"`
}

// TrafficLimitConfig is of TrafficLimit; nothing is limited here.
type TrafficLimitConfig struct {
	QPS      int
	PerIpQps int `json:",omitempty"`
}

// Condition is what a request must be like. The data plane looks at Host and
// Path; a rule with any other condition takes no traffic there.
type Condition struct {
	Type              string      `api:"required"`
	HostConfig        *Values     `json:",omitempty"`
	PathConfig        *Values     `json:",omitempty"`
	MethodConfig      *Values     `json:",omitempty"`
	SourceIpConfig    *Values     `json:",omitempty"`
	HeaderConfig      *KeyValues  `json:",omitempty"`
	CookieConfig      *PairValues `json:",omitempty"`
	QueryStringConfig *PairValues `json:",omitempty"`
}

// Values are what one of must match.
type Values struct {
	Values []string
}

// KeyValues are the values of a header.
type KeyValues struct {
	Key    string
	Values []string
}

// PairValues are pairs, as of cookies.
type PairValues struct {
	Values []Pair
}

// Pair is a key and a value.
type Pair struct {
	Key   string
	Value string
}

// Forward is the action that sends to server groups by weight.
func Forward(order int, tuples ...Tuple) Action {
	return Action{Order: order, Type: "ForwardGroup", ForwardGroupConfig: &ForwardGroupConfig{ServerGroupTuples: tuples}}
}

// To is a tuple of Forward.
func To(group string, weight int) Tuple { return Tuple{ServerGroupId: group, Weight: &weight} }
