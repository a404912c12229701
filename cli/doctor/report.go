package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"directormesh/cli/api"
)

// Topic is that of questions for reports.
const Topic = "doctor"

// Report is what a director says of itself.
type Report struct {
	Name     string        `json:"name"`
	Version  string        `json:"version"`
	Synced   bool          `json:"synced"`
	Alone    bool          `json:"alone"`
	Reason   string        `json:"reason"`
	Changing bool          `json:"changing"` // not all have confirmed a change of the table
	Table    string        `json:"table"`    // digest
	Unheard  []string      `json:"unheard"`  // those that it cannot reach and that have not left
	ClockOff time.Duration `json:"clock_off"`
	Settings []Value       `json:"settings"` // those that should be the same everywhere
	Findings []api.Finding `json:"findings"` // about it and its host
}

// Value is the value of a setting.
type Value struct{ Name, Value string }

// Silent is a director that did not report.
type Silent struct{ Name, Why string }

// maxClockOff is how far a host's clock may be from that of the mesh. Mesh time is the median of
// the clocks.
const maxClockOff = time.Second

// Seen is what the director that is asked knows of the mesh.
type Seen struct {
	Keys   api.Keys
	Health api.Health
	Names  api.Names
}

// Mesh compares what directors report, and looks at what the one that is asked knows.
func Mesh(reports []Report, silent []Silent, seen Seen) []api.Finding {
	var all findings
	for _, s := range silent {
		all.problem("unreachable", s.Name, "does not answer: "+s.Why,
			"look whether it runs, and whether the port of the mesh is open both ways")
	}
	for _, r := range reports {
		all = append(all, r.Findings...)
		switch {
		case r.Alone:
			all.problem("alone", r.Name, "serves alone: "+r.Reason,
				"start the others, or correct --join; until then two sides may answer differently")
		case !r.Synced:
			all.problem("not_synced", r.Name, "is not synced: "+r.Reason,
				"see: director ring status")
		}
		for _, other := range r.Unheard {
			if !slices.ContainsFunc(silent, func(s Silent) bool { return s.Name == other }) {
				all.problem("split", r.Name, "does not reach "+other+", which others do",
					"look at the network between the two: TCP and UDP of the mesh's port")
			}
		}
		if off := r.ClockOff.Abs(); off > maxClockOff {
			all.warning("clock", r.Name, fmt.Sprintf(
				"its clock is %s off that of the mesh", off.Round(time.Millisecond)),
				"set the clock: run chrony or another NTP client")
		}
	}
	all.compare(reports)
	all.keys(seen.Keys)
	all.backends(seen.Health)
	all.names(seen.Names)
	return all
}

type findings []api.Finding

func (f *findings) problem(code, director, text, advice string) {
	*f = append(*f, api.Finding{Code: code, Severity: api.VerdictProblem, Director: director,
		Found: text, Advice: advice})
}

func (f *findings) warning(code, director, text, advice string) {
	*f = append(*f, api.Finding{Code: code, Severity: api.VerdictWarning, Director: director,
		Found: text, Advice: advice})
}

// compare finds what differs between directors.
func (f *findings) compare(reports []Report) {
	tables, versions := make(map[string][]string), make(map[string][]string)
	settings := make(map[string]map[string][]string)
	changing := false
	for _, r := range reports {
		if changing = changing || r.Changing; r.Synced {
			tables[r.Table] = append(tables[r.Table], r.Name)
		}
		versions[r.Version] = append(versions[r.Version], r.Name)
		for _, v := range r.Settings {
			if settings[v.Name] == nil {
				settings[v.Name] = make(map[string][]string)
			}
			settings[v.Name][v.Value] = append(settings[v.Name][v.Value], r.Name)
		}
	}
	if len(tables) > 1 && !changing {
		f.problem("tables", "", "directors have different tables: "+groups(tables),
			"compare director status -a at each of them; ring status says who is not in touch")
	}
	if len(versions) > 1 {
		f.warning("versions", "", "directors are of different releases: "+groups(versions),
			"upgrade the older ones")
	}
	for _, name := range sortedKeys(settings) {
		if values := settings[name]; len(values) > 1 {
			f.warning("settings", "", "--"+name+" differs: "+groups(values),
				"give all directors the same")
		}
	}
}

// groups lists who has what.
func groups(by map[string][]string) string {
	var parts []string
	for _, value := range sortedKeys(by) {
		shown := value
		if shown == "" {
			shown = "none"
		}
		parts = append(parts, strings.Join(by[value], " ")+" "+shown)
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// keys finds keys that not every director has, unless they are on their way.
func (f *findings) keys(keys api.Keys) {
	if keys.Rotation != nil {
		return
	}
	for _, k := range keys.Keys {
		var lack []string
		for _, d := range keys.Directors {
			if !slices.Contains(k.Directors, d.Name) {
				lack = append(lack, d.Name)
			}
		}
		if len(lack) > 0 {
			f.warning("keys", "", fmt.Sprintf("key %s is missing at %s", k.ID,
				strings.Join(lack, " ")),
				"put it into their key files and reload them, or take it out of the mesh: "+
					"director keys remove")
		}
	}
}

// backends finds those that nobody can reach.
func (f *findings) backends(health api.Health) {
	for _, b := range health.Backends {
		failing := 0
		reason := ""
		for _, o := range b.Observers {
			if o.Sees == api.HealthFailing {
				failing++
				reason = o.Reason
			}
		}
		if failing > 0 && failing == len(b.Observers) && b.State == api.StateUp {
			f.problem("backend", "", fmt.Sprintf("backend %s cannot be used from any director: %s",
				b.IP, reason), "mend it, or take it out: director down "+b.IP.String())
		}
	}
}

// Verdict is that of the worst finding.
func Verdict(all []api.Finding) string {
	verdict := api.VerdictHealthy
	for _, f := range all {
		if f.Severity == api.VerdictProblem || verdict == api.VerdictHealthy {
			verdict = f.Severity
		}
	}
	return verdict
}
