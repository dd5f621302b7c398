package ui_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options() ui.Options {
	return ui.Options{
		Run: runID, Dir: runDir, Width: 80, Steps: []string{"install", "healthy", "shift", "drain-old"},
		Now: func() time.Time { return start.Add(3 * time.Hour) },
	}
}

func feed(s ui.Sink, records []journal.Record) {
	for _, r := range records {
		s.Record(r)
	}
	s.Close()
}

func TestALogHasOneLineAnEvent(t *testing.T) {
	for name, records := range stories() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			feed(ui.NewPlain(&b, options()), records)
			golden(t, "plain-"+name+".txt", b.Bytes())
			if strings.Contains(b.String(), "\x1b") {
				t.Error("an escape sequence without colour")
			}
		})
	}
}

func TestAVerboseLogHasEveryObservationAndAllOutput(t *testing.T) {
	var b bytes.Buffer
	o := options()
	o.Verbose = true
	o.Location = time.FixedZone("CST", 8*3600)
	feed(ui.NewPlain(&b, o), installed().records)
	golden(t, "plain-verbose.txt", b.Bytes())
}

func TestColourChangesNoText(t *testing.T) {
	for name, records := range stories() {
		var plain, coloured bytes.Buffer
		feed(ui.NewPlain(&plain, options()), records)
		o := options()
		o.Color = true
		feed(ui.NewPlain(&coloured, o), records)
		if !strings.Contains(coloured.String(), "\x1b[") {
			t.Errorf("%s: no colour where it is allowed", name)
		}
		if diff := cmp.Diff(plain.String(), stripped(coloured.String())); diff != "" {
			t.Errorf("%s (-plain +coloured):\n%s", name, diff)
		}
	}
}

// stripped takes colours away.
func stripped(s string) string {
	for _, code := range []string{"0", "1", "2", "32", "33", "1;31"} {
		s = strings.ReplaceAll(s, "\x1b["+code+"m", "")
	}
	return s
}

func TestAResumedRunShowsOnlyWhatIsNew(t *testing.T) {
	s := stopped(journal.TypePause, journal.OutcomeInterrupted, "")
	var b bytes.Buffer
	o := options()
	o.Past = s
	resumed := &script{now: start.Add(5 * time.Minute), begun: map[string]time.Time{}}
	resumed.takeover("resume").done("/steps/shift/5.hold", "hold", journal.Verdict{Text: "held"})
	feed(ui.NewPlain(&b, o), resumed.records)
	want := "14:07:07 run 01K9Z3M8 shop-web resumed by deploy@ci-17, state " + runDir + "\n" +
		"14:07:07 shift      hold: held\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJSONIsTheRecordsThemselves(t *testing.T) {
	records := doneRun()
	var b bytes.Buffer
	feed(ui.NewJSON(&b), records)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(records) {
		t.Fatalf("%d lines of %d records", len(lines), len(records))
	}
	for i, l := range lines {
		var got journal.Record
		if err := json.Unmarshal([]byte(l), &got); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if diff := cmp.Diff(records[i], got); diff != "" {
			t.Errorf("line %d (-want +got):\n%s", i+1, diff)
		}
	}
}

func TestATornRecordIsStillALineOfJSON(t *testing.T) {
	var b bytes.Buffer
	feed(ui.NewJSON(&b), []journal.Record{{Type: journal.TypeDone, Data: []byte(`{"no`)}})
	if !json.Valid(bytes.TrimSpace(b.Bytes())) || !strings.Contains(b.String(), `{\"no`) {
		t.Errorf("got %q", b.String())
	}
}

// screen is a terminal of one line at the bottom: it keeps what scrolled up
// and every state of the line.
type screen struct {
	mu     sync.Mutex
	scroll string
	status []string
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.TrimPrefix(string(p), "\r\x1b[K")
	i := strings.LastIndexByte(text, '\n')
	s.scroll += text[:i+1]
	s.status = append(s.status, text[i+1:])
	return len(p), nil
}

func TestALiveViewKeepsOneStatusLine(t *testing.T) {
	for _, columns := range []int{80, 40} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				o := options()
				o.Width = columns
				o.Now = func() time.Time { return start.Add(time.Since(began)) }
				var s screen
				sink := ui.NewLive(&s, o)
				for _, r := range doneRun() {
					time.Sleep(max(0, r.Time.Sub(o.Now()))) // as fast as it happened
					sink.Record(r)
				}
				sink.Close()
				sink.Close()
				var b bytes.Buffer
				b.WriteString(s.scroll + "\n--- status ---\n")
				for i, l := range s.status {
					if len([]rune(l)) >= columns {
						t.Errorf("wider than %d columns: %q", columns, l)
					}
					if i == 0 || unnumbered(l) != unnumbered(s.status[i-1]) {
						b.WriteString(l + "\n")
					}
				}
				if last := s.status[len(s.status)-1]; last != "" {
					t.Errorf("after Close the line says %q", last)
				}
				golden(t, fmt.Sprintf("live-%d.txt", columns), b.Bytes())
			})
		})
	}
}

// unnumbered is a line without its amounts and durations.
func unnumbered(s string) string {
	return regexp.MustCompile(`[0-9]+[hms]?( [0-9]+s)?`).ReplaceAllString(s, "")
}

func TestALiveViewTicksWithoutRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o := options()
		o.Now = func() time.Time { return start.Add(time.Since(began)) }
		var s screen
		sink := ui.NewLive(&s, o)
		for _, r := range begin().step("install", "run", "run ./deploy.sh").intent("/steps/install.run", "run", journal.Command{Shell: "./deploy.sh"}).records {
			sink.Record(r)
		}
		time.Sleep(2500 * time.Millisecond)
		sink.Close()
		tail := "  step 1 of 4  ctrl-c stops safely"
		want := []string{"", "install  run 0s" + tail, "install  command 0s" + tail, "install  command 1s" + tail, "install  command 2s" + tail, ""}
		if diff := cmp.Diff(want, s.status); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestManyGoroutinesMayRecord(t *testing.T) {
	var s screen
	for _, sink := range []ui.Sink{ui.NewPlain(&s, options()), ui.NewLive(&s, options()), ui.NewJSON(&s)} {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for _, r := range doneRun() {
					sink.Record(r)
				}
			})
		}
		wg.Wait()
		sink.Close()
	}
}

func FuzzNoRecordBreaksAView(f *testing.F) {
	for _, records := range stories() {
		var b bytes.Buffer
		feed(ui.NewJSON(&b), records)
		f.Add(b.Bytes(), 80)
	}
	f.Add([]byte(`{"type":"look","key":"/steps/a[","data":{"gate":"g","member":"\u001b]0;x","in_flight":{"":-1}}}`), 3)
	f.Fuzz(func(t *testing.T, data []byte, columns int) {
		var records []journal.Record
		dec := json.NewDecoder(bytes.NewReader(data))
		for {
			var r journal.Record
			if dec.Decode(&r) != nil {
				break
			}
			records = append(records, r)
		}
		o := options()
		o.Width = min(max(columns, 0), 300)
		var b, live bytes.Buffer
		feed(ui.NewPlain(&b, o), records)
		feed(ui.NewJSON(&live), records)
		feed(ui.NewLive(&live, o), records)
		if err := ui.WriteShow(&b, ui.Tell(runID, records), o); err != nil {
			t.Fatal(err)
		}
		if err := ui.WriteLogs(&b, records, "", o); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(b.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }); i >= 0 {
			t.Fatalf("a control character got through: %q", b.String()[max(0, i-40):i+1])
		}
	})
}
