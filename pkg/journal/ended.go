package journal

// reopens reports whether a record of that type may follow the terminal one:
// a finished run can be rolled back, and a run whose rollback stayed
// incomplete can be tried again.
func reopens(t Type) bool { return t == TypeTakeover || t == TypeRollback }

// ended reports whether the terminal record is the last word on the run.
func ended(records []Record) bool {
	return len(records) > 0 && records[len(records)-1].Type == TypeEnd
}

// incomplete reports whether an ended run still needs a person, and with it
// its locks.
func incomplete(records []Record) bool {
	e, err := Decode[End](records[len(records)-1])
	return err != nil || e.Outcome == OutcomeIncomplete
}
