package journal

// FailWrite makes one write of a lock fail with err, after n more.
func (l *Locks) FailWrite(n int, err error) {
	l.replace = func(path string, data []byte, durable bool) error {
		if n--; n == -1 {
			return err
		}
		return replaceFile(path, data, durable)
	}
}
