package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"directormesh/cli/api"
	"directormesh/ring"
)

// user answers GET /v1/user.
func (s *Server) user(r *http.Request) (any, error) {
	query, err := parameters(r, "name", "hash", "tag")
	if err != nil {
		return nil, err
	}
	if query.Has("name") == query.Has("hash") {
		return nil, api.Errorf(api.CodeBadRequest, "give the user either by name or by hash")
	}
	tag := ring.Tag(query.Get("tag"))
	if query.Has("hash") {
		h, err := parseHash(query.Get("hash"))
		if err != nil {
			return nil, err
		}
		return s.director.User(tag, h), nil
	}
	return s.director.User(tag, s.director.Hash(query.Get("name"))), nil
}

// sessions answers GET /v1/sessions.
func (s *Server) sessions(r *http.Request) (any, error) {
	query, err := parameters(r, "name", "hash", "backend")
	if err != nil {
		return nil, err
	}
	var user *ring.UserHash
	switch {
	case query.Has("name") && query.Has("hash"):
		return nil, api.Errorf(api.CodeBadRequest, "give the user either by name or by hash")
	case query.Has("name"):
		h := s.director.Hash(query.Get("name"))
		user = &h
	case query.Has("hash"):
		h, err := parseHash(query.Get("hash"))
		if err != nil {
			return nil, err
		}
		user = &h
	}
	var backend api.IP
	if query.Has("backend") {
		if backend.Addr, err = ring.ParseAddr(query.Get("backend")); err != nil {
			return nil, api.Errorf(api.CodeBadRequest, "backend: %v", err)
		}
	}
	return s.director.Sessions(r.Context(), user, backend)
}

// doctor answers GET /v1/doctor.
func (s *Server) doctor(r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	return s.director.Doctor(r.Context())
}

func parseHash(text string) (ring.UserHash, error) {
	h, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, api.Errorf(api.CodeBadRequest, "hash %q is not a number from 0 to 4294967295",
			text)
	}
	return ring.UserHash(h), nil
}

func parseBackends(text string) (map[netip.Addr]bool, error) {
	wanted := make(map[netip.Addr]bool)
	for ip := range strings.SplitSeq(text, ",") {
		addr, err := ring.ParseAddr(ip)
		if err != nil {
			return nil, api.Errorf(api.CodeBadRequest, "backend: %v", err)
		}
		wanted[addr] = true
	}
	return wanted, nil
}

// healthz says that the process works.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

// readyz says whether proxies should be sent here.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	self := s.director.Self()
	switch {
	case self.Leaving:
		http.Error(w, "leaving", http.StatusServiceUnavailable)
	case !self.Synced:
		http.Error(w, "not synced: "+self.Reason, http.StatusServiceUnavailable)
	case self.Alone:
		fmt.Fprintf(w, "ready, serving alone: %s\n", self.Reason)
	case self.DataDir != nil && self.DataDir.Problem != "":
		fmt.Fprintf(w, "ready, but the data directory keeps nothing: %s\n", self.DataDir.Problem)
	case len(self.Missing) > 0:
		fmt.Fprintf(w, "ready, without %s, which served when this director ended\n",
			strings.Join(self.Missing, ", "))
	default:
		fmt.Fprintln(w, "ready")
	}
}
