package aliyun

import "strings"

// Policy is the least RAM policy of a product, for people who set one up. The
// names of permissions are those of the calls.
func Policy(product string, actions []string) string {
	var b strings.Builder
	b.WriteString("The least RAM policy (narrow Resource to what you have; permissions have the names of the calls):\n\n")
	b.WriteString("{\n  \"Version\": \"1\",\n  \"Statement\": [{\n    \"Effect\": \"Allow\",\n    \"Action\": [\n")
	for i, a := range actions {
		b.WriteString("      \"" + product + ":" + a + "\"")
		if i < len(actions)-1 {
			b.WriteString(",")
		}
		b.WriteString("\n")
	}
	b.WriteString("    ],\n    \"Resource\": \"*\"\n  }]\n}")
	return b.String()
}
