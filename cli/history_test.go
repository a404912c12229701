package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

func TestParseMoment(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 3, 1, 3, 30, 0, 0, zone)
	for text, want := range map[string]string{
		"2026-02-08 12:20:35":    "2026-02-08T12:20:35+02:00",
		"2026-02-08 12:20":       "2026-02-08T12:20:00+02:00",
		"2026-02-08T12:20:35":    "2026-02-08T12:20:35+02:00",
		"2026-02-08":             "2026-02-08T00:00:00+02:00",
		"2026-02-08T12:20:35Z":   "2026-02-08T12:20:35Z",
		"2026-02-08T12:20:35.5Z": "2026-02-08T12:20:35.5Z",
		"03:12":                  "2026-03-01T03:12:00+02:00",
		"03:30:00":               "2026-03-01T03:30:00+02:00",
		"03:31":                  "2026-02-28T03:31:00+02:00", // yesterday
		"90m":                    "2026-03-01T02:00:00+02:00",
		"2d":                     "2026-02-27T03:30:00+02:00",
		"-90m":                   "",
		"yesterday":              "",
		"":                       "",
		"25:00":                  "",
		"1900-01-01":             "",
	} {
		got, ok := parseMoment(text, now)
		shown := ""
		if ok {
			shown = got.Format(time.RFC3339Nano)
		}
		if shown != want {
			t.Errorf("%q: %q, want %q", text, shown, want)
		}
	}
}

// The tables and remarks of the history, as people see them.
func TestHistoryTables(t *testing.T) {
	addr := httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop())
	var out strings.Builder
	for _, args := range [][]string{
		{"history"}, {"history", "--since", "2018-02-08 11:59"},
		{"history", "--since", "2018-02-08 15:00"},
		{"history", "alice@example.org"},
		{"history", "--at", "2018-02-08 14:30", "alice@example.org"},
	} {
		r := runCommand(t, "", append(args, "-a", addr)...)
		if r.status != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
		out.WriteString("$ director " + strings.Join(args, " ") + "\n" + r.stdout + r.stderr)
	}
	golden(t, "history.txt", out.String())
}

// Each way to say where a user was, and why.
func TestStays(t *testing.T) {
	at := time.Date(2018, 2, 8, 12, 0, 0, 0, time.UTC)
	later := at.Add(time.Hour)
	asked := &api.AdminChange{Director: "d1", Who: "uid 0 pid 7"}
	ip := httpapitest.IP("192.0.2.1")
	d := httpapitest.Sample()
	stays := []api.UserStay{
		{Certainty: api.StayThere, Backend: ip, Since: &at, Until: &later,
			Why: &api.UserChange{To: ip, Reason: "forgotten", By: "d2", Asked: asked}},
		{Certainty: api.StayThereIfActive, Backend: ip, Since: &at,
			Why: &api.UserChange{To: ip, Reason: "removed", By: "d2"}},
		{Tag: "ssd", Certainty: api.StayNowhere, Since: &at,
			Why: &api.UserChange{Reason: "forgotten", Asked: asked}},
		{Certainty: api.StayUnknown, Until: &later},
		{Certainty: api.StayThere, Backend: ip, Why: &api.UserChange{To: ip, Reason: "novel"}},
	}
	for _, reason := range []string{
		"login", "move", "flush", "session", "import", "conflict", "expired", "failed", "other",
	} {
		stays = append(stays, api.UserStay{Certainty: api.StayThere, Backend: ip,
			Why: &api.UserChange{To: ip, Reason: reason, By: "d3"}})
	}
	lines := d.UserHistoryIs
	d.UserHistoryIs = func(
		h ring.UserHash, t time.Time, q api.HistoryQuery,
	) api.UserHistory {
		history := lines(h, t, q)
		history.Directors, history.Stays = nil, stays
		if q.Limit == 1 {
			history.Stays = nil
		}
		return history
	}
	addr := httpapitest.Serve(t, d, zerolog.Nop())
	var out strings.Builder
	for _, limit := range []string{"2", "1"} {
		r := runCommand(t, "", "history", "-a", addr, "-n", limit, "--at", "1h",
			"alice@example.org")
		if r.status != 0 || r.stderr != "" {
			t.Fatalf("%+v", r)
		}
		out.WriteString(r.stdout)
	}
	golden(t, "stays.txt", out.String())
}
