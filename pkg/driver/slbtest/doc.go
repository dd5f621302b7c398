// Package slbtest is a stand-in for the Aliyun APIs that flip's drivers slb,
// alb, nlb and alidns speak: RPC v1 of Slb 2014-05-15, Alb 2020-06-16,
// Nlb 2022-04-30 and Alidns 2015-01-09, on loopback, with a data plane behind
// it (package plane) and name servers that answer for the zones.
//
// It was built from Aliyun's documentation, the SDK's source and the Terraform
// provider, never against the cloud. It fails closed: an action, a parameter or
// a value that it does not model is an error, also where Aliyun would ignore
// it. It verifies signatures with its own code. A write changes what is read at
// once (CLB, Alidns) or when its job is done (ALB, NLB); traffic and DNS
// answers follow after a lag.
//
// Tests that need to see the time in between call Hold, look, and Release;
// Quiet waits until everything has happened.
//
// Messages are approximate everywhere: match codes only. What has no source is
// marked "no source": above all the lags, the overlap windows, the HTTP status
// of ALB's conflicts (400 here), fail-open of CLB and NLB, what an ALB read
// shows while a job runs (the old weights here), and that ClientTokens answer
// IdempotenceProcessing for a fixed time.
//
// What it leaves out: sticky sessions in the data plane (the attributes are
// kept and shown), consistent hashing (treated as weighted round robin), UDP
// traffic, the failover of master/slave groups, lines of Alidns other than
// "default" in DNS answers, and RAM policies.
package slbtest
