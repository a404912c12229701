package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"directormesh/cli/api"
)

// history answers GET /v1/history.
func (s *Server) history(r *http.Request) (any, error) {
	query, err := parameters(r, "since", "until", "limit")
	if err != nil {
		return nil, err
	}
	q, err := historyQuery(query)
	if err != nil {
		return nil, err
	}
	return s.director.History(r.Context(), q)
}

// userHistory answers GET /v1/history/user.
func (s *Server) userHistory(r *http.Request) (any, error) {
	query, err := parameters(r, "name", "hash", "at", "since", "until", "limit")
	if err != nil {
		return nil, err
	}
	q, err := historyQuery(query)
	if err != nil {
		return nil, err
	}
	at, err := parseTime(query, "at")
	if err != nil {
		return nil, err
	}
	if query.Has("name") == query.Has("hash") {
		return nil, api.Errorf(api.CodeBadRequest, "give the user either by name or by hash")
	}
	hash := s.director.Hash(query.Get("name"))
	if query.Has("hash") {
		if hash, err = parseHash(query.Get("hash")); err != nil {
			return nil, err
		}
	}
	return s.director.UserHistory(r.Context(), hash, at, q)
}

func historyQuery(query url.Values) (q api.HistoryQuery, err error) {
	if q.Since, err = parseTime(query, "since"); err != nil {
		return q, err
	}
	if q.Until, err = parseTime(query, "until"); err != nil {
		return q, err
	}
	if !q.Until.IsZero() && q.Until.Before(q.Since) {
		return q, api.Errorf(api.CodeBadRequest, "until is before since")
	}
	if query.Has("limit") {
		q.Limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || q.Limit < 1 || q.Limit > api.MaxHistory {
			return q, api.Errorf(api.CodeBadRequest, "limit %q is not a number from 1 to %d",
				query.Get("limit"), api.MaxHistory)
		}
	}
	return q, nil
}

// The span of times that can be asked for: those that a 64-bit number of nanoseconds holds, after
// the epoch.
var (
	earliest = time.Unix(0, 0)
	latest   = time.Unix(0, 1<<63-1)
)

// parseTime returns a time, the zero one if it is not given.
func parseTime(query url.Values, name string) (time.Time, error) {
	if !query.Has(name) {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, query.Get(name))
	if err != nil || t.Before(earliest) || t.After(latest) {
		return t, api.Errorf(api.CodeBadRequest,
			"%s %q is not a time such as 2026-02-08T12:20:35Z", name, query.Get(name))
	}
	return t.UTC(), nil
}
