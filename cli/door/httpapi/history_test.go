package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

// What is asked for reaches the director, and what makes no sense is refused.
func TestHistoryQueries(t *testing.T) {
	type asked struct {
		hash ring.UserHash
		at   time.Time
		q    api.HistoryQuery
	}
	at := time.Date(2018, 2, 8, 12, 20, 35, 0, time.UTC)
	for path, want := range map[string]*asked{
		"/v1/history": {},
		"/v1/history?since=2018-02-08T12:20:35Z&until=2018-02-08T14:20:36%2B02:00&limit=5": {
			q: api.HistoryQuery{Since: at, Until: at.Add(time.Second), Limit: 5},
		},
		"/v1/history/user?hash=7": {hash: 7},
		"/v1/history/user?hash=7&at=2018-02-08T12:20:35Z&limit=10000": {
			hash: 7, at: at, q: api.HistoryQuery{Limit: 10_000},
		},
		"/v1/history?limit=0":                                               nil,
		"/v1/history?limit=10001":                                           nil,
		"/v1/history?limit=x":                                               nil,
		"/v1/history?since=yesterday":                                       nil,
		"/v1/history?since=1900-01-01T00:00:00Z":                            nil,
		"/v1/history?until=9999-01-01T00:00:00Z":                            nil,
		"/v1/history?at=2018-02-08T12:20:35Z":                               nil,
		"/v1/history?since=2018-02-08T12:20:35Z&until=2018-02-08T12:20:34Z": nil,
		"/v1/history/user":                                                  nil,
		"/v1/history/user?hash=7&name=alice":                                nil,
		"/v1/history/user?hash=x":                                           nil,
		"/v1/history/user?hash=7&at=12:20":                                  nil,
		"/v1/history/user?hash=7&limit=0":                                   nil,
	} {
		d := httpapitest.Sample()
		var got *asked
		d.HistoryIs = func(q api.HistoryQuery) (api.History, error) {
			got = &asked{q: q}
			return api.History{
				Changes: []api.AdminChange{}, Directors: []api.HistoryDirector{},
				Lapses: []api.HistoryLapse{},
			}, nil
		}
		d.UserHistoryIs = func(
			h ring.UserHash, at time.Time, q api.HistoryQuery,
		) api.UserHistory {
			got = &asked{h, at, q}
			return api.UserHistory{
				Stays: []api.UserStay{}, Changes: []api.UserChange{},
				Directors: []api.HistoryDirector{}, Lapses: []api.HistoryLapse{},
			}
		}
		status, body := ask(t, httpapitest.Serve(t, d, zerolog.Nop()), http.MethodGet, path, "")
		switch {
		case want == nil && (status != http.StatusBadRequest || got != nil):
			t.Errorf("%s: %d %s, asked %+v", path, status, body, got)
		case want != nil && (status != http.StatusOK || got == nil || *got != *want):
			t.Errorf("%s: %d %s, asked %+v, want %+v", path, status, body, got, want)
		}
	}
}
