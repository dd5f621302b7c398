package gate

// Kinds are the built-in kinds of gates.
func Kinds() *Registry {
	return NewRegistry(Command(), HAProxy(), HTTP(), Log(), Prometheus(), Resolve(), TCP())
}
