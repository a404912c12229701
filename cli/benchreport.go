package cli

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"directormesh/cli/api"
	"directormesh/cli/load"
)

// benchReport is the outcome of "director bench", as --json prints it.
type benchReport struct {
	Door        load.Door     `json:"door"`
	Rate        float64       `json:"rate"`        // wanted, 0: as many as possible
	Connections int           `json:"connections"` // to each director
	Depth       int           `json:"depth"`       // 0 with a rate
	Seconds     float64       `json:"seconds"`
	Lookups     int64         `json:"lookups"` // answered
	PerSecond   float64       `json:"lookups_per_second"`
	Failed      int64         `json:"failed"`
	Failures    []benchCount  `json:"failures"`
	Users       int           `json:"users"` // that got a backend
	Moved       int64         `json:"moved"`
	Wrong       int64         `json:"wrong"`
	Examples    []string      `json:"wrong_examples"`
	Latency     benchLatency  `json:"latency_us"`
	Histogram   []benchBucket `json:"histogram"`
	Directors   []benchRow    `json:"directors"`
	ToolCPU     float64       `json:"tool_cpu_seconds"`
}

type benchCount struct {
	Reason  string `json:"reason"`
	Lookups int64  `json:"lookups"`
}

// benchLatency is in microseconds.
type benchLatency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// benchBucket counts the answers that took less than some time, and not less than that of the
// bucket before.
type benchBucket struct {
	Below   float64 `json:"below_us"`
	Lookups int64   `json:"lookups"`
}

type benchRow struct {
	Director string       `json:"director"`
	Lookups  int64        `json:"lookups"`
	Failed   int64        `json:"failed"`
	Latency  benchLatency `json:"latency_us"`
	CPU      *float64     `json:"cpu_us_per_lookup"` // null if not known
	Memory   *int64       `json:"memory_bytes"`      // null if not known
}

func newBenchReport(cfg load.Config, result *load.Result, used []api.Usage) benchReport {
	latency := result.Latency()
	failed, reasons := result.Failed()
	r := benchReport{
		Door: cfg.Door, Rate: cfg.Rate, Connections: cfg.Connections, Depth: cfg.Depth,
		Seconds: result.Took.Seconds(), Lookups: latency.TotalCount(), Failed: failed,
		Failures: []benchCount{},
		Users:    result.Users, Moved: result.Moved, Wrong: result.Wrong,
		Examples: append([]string{}, result.Examples...),
		Latency:  latencyOf(latency), Histogram: buckets(latency), Directors: []benchRow{},
		ToolCPU: result.CPU.Seconds(),
	}
	if cfg.Rate > 0 {
		r.Depth = 0
	}
	if r.Seconds > 0 {
		r.PerSecond = float64(r.Lookups) / r.Seconds
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		r.Failures = append(r.Failures, benchCount{reason, reasons[reason]})
	}
	for i, d := range result.Directors {
		row := benchRow{
			Director: d.Name, Lookups: d.Latency.TotalCount(), Failed: d.Failed,
			Latency: latencyOf(d.Latency),
		}
		if used[i].CPU > 0 && row.Lookups > 0 {
			cpu := microseconds(used[i].CPU) / float64(row.Lookups)
			row.CPU = &cpu
		}
		if used[i].Memory > 0 {
			row.Memory = &used[i].Memory
		}
		r.Directors = append(r.Directors, row)
	}
	return r
}

func latencyOf(h *hdrhistogram.Histogram) benchLatency {
	if h.TotalCount() == 0 {
		return benchLatency{}
	}
	at := func(p float64) float64 { return microseconds(time.Duration(h.ValueAtPercentile(p))) }
	return benchLatency{
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
		Max: microseconds(time.Duration(h.Max())),
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// buckets sums a histogram up by powers of two of a microsecond, from the fastest answer to the
// slowest.
func buckets(h *hdrhistogram.Histogram) []benchBucket {
	all := []benchBucket{}
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		exponent := math.Ceil(math.Log2(microseconds(time.Duration(bar.To + 1))))
		below := math.Exp2(max(0, exponent))
		for len(all) > 0 && all[len(all)-1].Below < below {
			all = append(all, benchBucket{Below: 2 * all[len(all)-1].Below})
		}
		if len(all) == 0 {
			all = append(all, benchBucket{Below: below})
		}
		all[len(all)-1].Lookups += bar.Count
	}
	return all
}

// print prints the report for people.
func (r benchReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%d lookups in %s, %.0f a second; %d failed\n",
		r.Lookups, span(r.Seconds*1e6), r.PerSecond, r.Failed)
	for _, f := range r.Failures {
		fmt.Fprintf(w, "  %d: %s\n", f.Lookups, api.Visible(f.Reason))
	}
	fmt.Fprintf(w, "%d users; %d answers contradict others", r.Users, r.Wrong)
	if r.Moved > 0 {
		fmt.Fprintf(w, "; %d times a user was moved", r.Moved)
	}
	fmt.Fprintln(w)
	for _, e := range r.Examples {
		fmt.Fprintf(w, "  %s\n", api.Visible(e))
	}
	fmt.Fprintln(w)
	if err := r.printTable(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	r.printHistogram(w)
	perLookup := 0.0
	if r.Lookups > 0 {
		perLookup = r.ToolCPU * 1e6 / float64(r.Lookups)
	}
	_, err := fmt.Fprintf(
		w, "\nthis command itself used %.2f s of processor time, %.2f µs for each lookup\n",
		r.ToolCPU, perLookup)
	return err
}

func (r benchReport) printTable(w io.Writer) error {
	t := newTable(w, column{title: "director"}, column{title: "lookups"}, column{title: "failed"},
		column{title: "p50"}, column{title: "p90"},
		column{title: "p99"}, column{title: "p99.9"}, column{title: "max"},
		column{title: "cpu/lookup"}, column{title: "memory"})
	t.grows = true
	rows := r.Directors
	if len(rows) > 1 {
		rows = append(slices.Clone(rows), benchRow{
			Director: "all", Lookups: r.Lookups, Failed: r.Failed, Latency: r.Latency,
		})
	}
	for _, d := range rows {
		cpu, memory := "-", "-"
		if d.CPU != nil {
			cpu = span(*d.CPU)
		}
		if d.Memory != nil {
			memory = fmt.Sprintf("%d MB", *d.Memory/1_000_000)
		}
		l := d.Latency
		if err := t.row(d.Director, fmt.Sprint(d.Lookups), fmt.Sprint(d.Failed), span(l.P50),
			span(l.P90), span(l.P99), span(l.P999),
			span(l.Max), cpu, memory); err != nil {
			return err
		}
	}
	return t.end()
}

// histogramWidth is that of the longest bar.
const histogramWidth = 50

func (r benchReport) printHistogram(w io.Writer) {
	most, sum := int64(1), int64(0)
	for _, b := range r.Histogram {
		most = max(most, b.Lookups)
	}
	for _, b := range r.Histogram {
		sum += b.Lookups
		bar := strings.Repeat("#", int((b.Lookups*histogramWidth+most-1)/most))
		line := fmt.Sprintf("below %-7s %10d  %7.3f%%  %s",
			span(b.Below), b.Lookups, 100*float64(sum)/float64(r.Lookups), bar)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// span prints a number of microseconds with three digits; no answer has taken none at all.
func span(us float64) string {
	if us == 0 {
		return "-"
	}
	value, unit := us, "µs"
	switch {
	case us >= 999_500:
		value, unit = us/1e6, "s"
	case us >= 999.5:
		value, unit = us/1e3, "ms"
	}
	decimals := 2
	switch {
	case value >= 99.95:
		decimals = 0
	case value >= 9.995:
		decimals = 1
	}
	return fmt.Sprintf("%.*f %s", decimals, value, unit)
}

// benchLine is the line on a terminal that shows how it goes.
type benchLine struct {
	out   io.Writer
	shown bool
}

func (l *benchLine) show(p load.Progress) {
	l.shown = true
	fmt.Fprintf(l.out, "\r%4.0f s  %d lookups/s  p99 %s  %d failed  %d wrong\033[K",
		p.At.Seconds(), p.Lookups, span(microseconds(p.P99)), p.Failed, p.Wrong)
}

// end leaves the line as it is.
func (l *benchLine) end() {
	if l.shown {
		fmt.Fprintln(l.out)
	}
}
