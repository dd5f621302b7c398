package slbtest

import (
	"maps"
	"slices"
	"time"
)

// The states of a job. NLB writes Processing in lower case.
const (
	processing = "Processing"
	succeeded  = "Succeeded"
	failed     = "Failed"
)

// job is work of an ALB or NLB that was taken and is done later.
type job struct {
	id, product, api, kind, resource, status string
	code, message                            string
	created, modified                        time.Time
}

// token is a ClientToken and the answer that it got.
type token struct {
	params map[string]string
	body   reply
	at     time.Time
}

// once answers a repeated ClientToken with the first answer. Only answers of
// calls that were taken are kept.
func (s *Server) once(c *call, clientToken string, fn func() (reply, error)) (reply, error) {
	if clientToken == "" {
		return fn()
	}
	key := c.key.Account + " " + c.Product + " " + c.Action + " " + clientToken
	if t := s.tokens[key]; t != nil {
		switch {
		case !maps.Equal(t.params, c.Params):
			return nil, fail(errTokenReused)
		case time.Since(t.at) < s.o.Timing.Idempotence:
			return nil, fail(errIdempotence)
		}
		c.Write = false // nothing is done a second time
		return t.body, nil
	}
	body, err := fn()
	if err == nil {
		s.tokens[key] = &token{c.Params, body, time.Now()}
	}
	return body, err
}

// submit takes a job on a resource, with the members that it is about. apply
// gets how many entries of the batch to apply, all when it is negative.
func (s *Server) submit(c *call, kind, resource string, parts []string, apply func(entries int)) reply {
	now := time.Now()
	j := &job{id: "job-" + s.nextID(), product: c.Product, api: c.Action, kind: kind, resource: resource, status: processing, created: now, modified: now}
	s.jobs = append(s.jobs, j)
	busy := append([]string{resource}, parts...)
	for _, id := range busy {
		s.busy[id] = "Configuring"
	}
	fault := c.fault
	s.later(s.o.Timing.Job, func() {
		for _, id := range busy {
			delete(s.busy, id)
		}
		j.status, j.modified = succeeded, time.Now()
		switch fault.Kind {
		case JobFails, Partial:
			j.status, j.code, j.message = failed, "InternalError", "The job failed."
			if fault.Code != "" {
				j.code = fault.Code
			}
			if fault.Kind == JobFails || fault.Entries <= 0 {
				return
			}
			apply(fault.Entries)
		default:
			apply(-1)
		}
		s.changed()
	})
	return reply{"JobId": j.id}
}

// statusOf is Available, or what a job makes of it.
func (s *Server) statusOf(id string) string {
	if status := s.busy[id]; status != "" {
		return status
	}
	return "Available"
}

type listAsynJobsRequest struct {
	JobIds, ResourceIds   []string
	ResourceType, ApiName string
	BeginTime, EndTime    int
	NextToken             string
	MaxResults            int
}

func (s *Server) listAsynJobs(_ *call, r listAsynJobsRequest) (reply, error) {
	var found []*job
	for _, j := range s.jobs {
		at := int(j.created.UnixMilli())
		if j.product == "alb" && among(r.JobIds, j.id) && among(r.ResourceIds, j.resource) && (r.ResourceType == "" || r.ResourceType == j.kind) &&
			(r.ApiName == "" || r.ApiName == j.api) && (r.BeginTime == 0 || at >= r.BeginTime) && (r.EndTime == 0 || at <= r.EndTime) {
			found = append(found, j)
		}
	}
	page, body, err := paged(s, "ListAsynJobs", found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["Jobs"] = list(page, func(j *job) reply {
		return reply{
			"Id": j.id, "ApiName": j.api, "ResourceType": j.kind, "ResourceId": j.resource, "Status": j.status, "ErrorCode": j.code,
			"ErrorMessage": j.message, "CreateTime": j.created.UnixMilli(), "ModifyTime": j.modified.UnixMilli(), "OperateType": "Update",
		}
	})
	return body, nil
}

// among is true for an empty filter.
func among(filter []string, value string) bool {
	if len(filter) == 0 {
		return true
	}
	return slices.Contains(filter, value)
}
