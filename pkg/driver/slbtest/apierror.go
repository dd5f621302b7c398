package slbtest

import (
	"fmt"
	"net/http"
)

// apiError is an answer that is not 200.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func refuse(status int, code, format string, args ...any) *apiError {
	return &apiError{status, code, fmt.Sprintf(format, args...)}
}

// invalid is a parameter that is wrong. Real codes differ by product and
// parameter; drivers may only rely on the class.
func invalid(format string, args ...any) *apiError {
	return refuse(http.StatusBadRequest, "InvalidParameter", format, args...)
}

func missing(name string) *apiError {
	return refuse(http.StatusBadRequest, "MissingParameter", "The input parameter %q that is mandatory for processing this request is not supplied.", name)
}

// The codes that tests inject or wait for, as vendors and providers spell them.
// Statuses: CLB's from its page of common error codes, those of ALB and NLB
// have no source.
var (
	errThrottled     = apiError{http.StatusBadRequest, "Throttling.User", "Request was denied due to user flow control."}
	errThrottledAPI  = apiError{http.StatusBadRequest, "Throttling.Api", "Request was denied due to api flow control."}
	errNeedSSL       = apiError{http.StatusBadRequest, "InvalidProtocol.NeedSsl", "Your request is denied as lack of ssl protect."} // no source for the status
	errUnavailable   = apiError{http.StatusServiceUnavailable, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."}
	errInternal      = apiError{http.StatusInternalServerError, "InternalError", "The request processing has failed due to some unknown error."}
	errTokenExpired  = apiError{http.StatusBadRequest, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."}                             // from memory
	errTokenWrong    = apiError{http.StatusBadRequest, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatches the AccessKey."} // from memory
	errTokenMissing  = apiError{http.StatusBadRequest, "MissingSecurityToken", "SecurityToken is mandatory for this action."}                             // from memory
	errKeyInactive   = apiError{http.StatusBadRequest, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."}                                // from memory
	errDryRun        = apiError{http.StatusBadRequest, "DryRunOperation", "Request validation has been passed with DryRun flag set."}
	errGroupBusyALB  = apiError{http.StatusBadRequest, "IncorrectStatus.ServerGroup", "The status of the server group is incorrect."}
	errGroupBusyNLB  = apiError{http.StatusBadRequest, "IncorrectStatus.serverGroup", "The status of the server group is incorrect."}
	errLocked        = apiError{http.StatusBadRequest, "Conflict.Lock", "The resource is locked by another operation."}
	errRuleBusy      = apiError{http.StatusBadRequest, "IncorrectStatus.Rule", "The status of the rule is incorrect."}
	errListenerBusy  = apiError{http.StatusBadRequest, "IncorrectStatus.Listener", "The status of the listener is incorrect."}
	errListenerConf  = apiError{http.StatusBadRequest, "ResourceInConfiguring.Listener", "The listener is being configured."}
	errIdempotence   = apiError{http.StatusBadRequest, "IdempotenceProcessing", "The previous idempotent request is still processing."}
	errTokenReused   = apiError{http.StatusBadRequest, "IdempotentParameterMismatch", "The ClientToken was used with other parameters."} // from memory
	errGroupBusyCLB  = apiError{http.StatusBadRequest, "VServerGroupProcessing", "The VServerGroup is processing."}
	errServiceConfig = apiError{http.StatusBadRequest, "ServiceIsConfiguring", "The SLB service is configuring."}
	errZoneBusy      = apiError{http.StatusBadRequest, "LastOperationNotFinished", "The last operation is not finished."}
)

func fail(e apiError) *apiError { return &e }
