package engine

import "reflect"

// assign hands an activity's result to its caller without a detour through
// JSON: ten thousand changes make that slow. Types match by construction.
func assign(out, result any) {
	if out == nil || result == nil {
		return
	}
	reflect.ValueOf(out).Elem().Set(reflect.ValueOf(result))
}
