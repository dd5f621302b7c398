package slbtest

import "net/http"

// busyCodes are what a product answers when a call has to be repeated later:
// CLB's from its page of common error codes and the Terraform provider's
// SlbIsBusy; ALB's, NLB's and Alidns' from the lists that the Terraform
// provider retries. Statuses other than CLB's have no source.
var busyCodes = map[string]map[string]int{
	"slb": {
		"ServiceIsConfiguring": 0, "VServerGroupProcessing": 0, "OperationBusy": 0, "BackendServer.configuring": 0,
		"SystemBusy": 449, "ServiceIsStopping": http.StatusConflict,
	},
	"alb": {
		"IncorrectStatus.ServerGroup": 0, "IdempotenceProcessing": 0, "SystemBusy": 0, "ResourceInConfiguring.Listener": 0,
		"IncorrectStatus.Listener": 0, "IncorrectStatus.Rule": 0, "IncorrectBusinessStatus.LoadBalancer": 0, "VipStatusNotSupport": 0,
		"-22001": 0, "-21013": 0, "-22031": 0, "-21020": 0,
	},
	"nlb":    {"IncorrectStatus.serverGroup": 0, "Conflict.Lock": 0, "OperationFailed.ResourceIsConfiguring": 0, "SystemBusy": 0},
	"alidns": {"LastOperationNotFinished": 0, "InternalError": 0, "RecordForbidden.DNSChange": 0},
}

// Busy are all busy answers of a product, to be injected one after the other;
// each happens once to the action.
func Busy(product, action string) []Fault {
	codes := busyCodes[product]
	var faults []Fault
	for _, code := range sortedKeys(codes) {
		status := codes[code]
		orElse(&status, http.StatusBadRequest)
		faults = append(faults, Fault{Kind: Refuse, Product: product, Action: action, Times: 1, Status: status, Code: code})
	}
	return faults
}
