package webauth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"directormesh/cli/api"
	"directormesh/mesh/loglimit"
)

// lookTime is how often the files are looked at.
const lookTime = time.Second

// Config is what a Gate needs.
type Config struct {
	Path     string // of the web configuration file
	ReadFile func(path string) ([]byte, error)
	Rights   Rights
	Log      zerolog.Logger
	// nil: nothing is counted
	Registerer prometheus.Registerer
	Now        func() time.Time
	Random     io.Reader
	AtOnce     int // passwords that are compared at a time, each on a processor of its own
}

// Gate decides who may ask. It is safe for concurrent use.
type Gate struct {
	path      string
	readFile  func(path string) ([]byte, error)
	log       zerolog.Logger
	limit     loglimit.Limiter
	metrics   *metrics
	now       func() time.Time
	passwords *passwords
	policy    atomic.Pointer[Policy] // the last good one
	rights    atomic.Pointer[Rights]
	edited    atomic.Pointer[chan struct{}] // closed when one of these has become another

	looking sync.Mutex
	trouble string // of the last look, "" if all was well
}

// New reads the file. An error says what is wrong with it.
func New(cfg Config) (*Gate, error) {
	g := &Gate{path: cfg.Path, readFile: cfg.ReadFile, log: cfg.Log, now: cfg.Now}
	policy, err := Read(g.path, g.readFile)
	if err != nil {
		return nil, err
	}
	g.passwords, err = newPasswords(g.now, cfg.Random, cfg.AtOnce, bcrypt.CompareHashAndPassword)
	if err != nil {
		return nil, err
	}
	if g.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, err
	}
	g.policy.Store(policy)
	g.metrics.uses(policy)
	g.SetRights(cfg.Rights)
	return g, nil
}

// SetRights gives other rights to all requests from now on.
func (g *Gate) SetRights(r Rights) {
	g.rights.Store(&r)
	g.noteUnknown()
	g.announce()
}

// noteUnknown says which users have a role and no password: a name may be misspelt.
func (g *Gate) noteUnknown() {
	policy, rights := g.policy.Load(), g.rights.Load()
	for _, name := range slices.Concat(rights.Readers, rights.Admins) {
		user, isUser := strings.CutPrefix(name, "user:")
		if _, known := policy.users[user]; isUser && !known {
			g.log.Warn().Str("who", name).
				Msg("a user with a role is not in the web configuration file")
		}
	}
}

// Edited returns what is closed as soon as somebody who was admitted before may not be any more.
func (g *Gate) Edited() <-chan struct{} { return *g.edited.Load() }

func (g *Gate) announce() {
	next := make(chan struct{})
	if last := g.edited.Swap(&next); last != nil {
		close(*last)
	}
}

// TLS returns what the listener needs. Each connection gets the policy of its moment.
func (g *Gate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return g.policy.Load().tls, nil
		},
	}
}

// Run looks for edits of the files until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	ticker := time.NewTicker(lookTime)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			g.Look()
		case <-ctx.Done():
			return
		}
	}
}

// Look reads the files again. What is not good changes nothing; it is logged once, and counted.
func (g *Gate) Look() {
	g.looking.Lock()
	defer g.looking.Unlock()
	before := g.policy.Load()
	policy, err := Read(g.path, g.readFile)
	if err != nil {
		g.metrics.good.Set(0)
		if err.Error() != g.trouble {
			g.trouble = err.Error()
			g.metrics.refusedEdits.Inc()
			g.log.Error().Str("detail", g.trouble).
				Msg("web configuration file is not good, the last good one stays in use")
		}
		return
	}
	g.metrics.good.Set(1)
	mended := g.trouble != ""
	g.trouble = ""
	switch {
	case policy.sum != before.sum:
		g.policy.Store(policy)
		g.passwords.forget(policy, before)
		g.noteUnknown()
		g.announce()
		g.metrics.uses(policy)
		g.metrics.takenEdits.Inc()
		g.log.Info().Str("path", g.path).Msg("web configuration file has changed and is in use")
	case mended:
		g.log.Info().Str("path", g.path).Msg("web configuration file is good again")
	}
}

// Admit returns who makes a request, if that one may: user:NAME or cert:NAME. Else the error is an
// *api.Error. It sets headers of the answer.
func (g *Gate) Admit(answer http.Header, r *http.Request) (who string, err error) {
	policy, rights := g.policy.Load(), g.rights.Load()
	for name, value := range policy.headers {
		answer.Set(name, value)
	}
	who, why, err := g.admit(answer, r, policy, rights)
	if err == nil {
		return who, nil
	}
	g.metrics.refused[why].Inc()
	g.limit.Logger(g.log, string(why), g.now()).Warn().Func(func(e *zerolog.Event) {
		if who != "" {
			e.Str("who", who)
		}
	}).Str("from", r.RemoteAddr).Str("reason", string(why)).
		Msg("a request over the network was refused")
	return "", err
}

func (g *Gate) admit(
	answer http.Header, r *http.Request, policy *Policy, rights *Rights,
) (who string, why reason, err error) {
	names, why, err := g.identify(answer, r, policy)
	if err != nil {
		return "", why, err
	}
	return permit(r, names, rights)
}

// permit returns by which of these names a request may be made.
func permit(r *http.Request, names []string, rights *Rights) (who string, why reason, err error) {
	who, role := rights.roleOf(names)
	if role == roleNone {
		return who, refusedRole, api.Errorf(api.CodeForbidden,
			"%s has no role here; name it in http-readers or http-admins", who)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return who, "", nil
	}
	switch {
	case role != roleAdmin:
		return who, refusedRole, api.Errorf(api.CodeForbidden,
			"%s may only ask queries, and %s is none; name it in http-admins", who, r.URL.Path)
	case !rights.hasHost(r.Host):
		return who, refusedHost, api.Errorf(api.CodeForbidden,
			"host %q is not in http-hosts; ask for one that is", r.Host)
	case !sameOrigin(r):
		return who, refusedSite, api.Errorf(api.CodeForbidden,
			"this request comes from a page of another site")
	}
	return who, "", nil
}

// MayChange reports whether one who was admitted has the role of an admin.
func (g *Gate) MayChange(who string) bool {
	_, role := g.rights.Load().roleOf([]string{who})
	return role == roleAdmin
}

// Still reports whether a request that was admitted as who may go on. It compares no password
// anew: one that is not remembered any more is another one now.
func (g *Gate) Still(r *http.Request, who string) bool {
	policy, rights := g.policy.Load(), g.rights.Load()
	var names []string
	if user, password, given := r.BasicAuth(); !given {
		names = g.certificateNames(r, policy)
	} else if g.passwords.knows(policy, user, password) {
		names = []string{"user:" + user}
	}
	if len(names) == 0 {
		return false
	}
	now, _, err := permit(r, names, rights)
	return err == nil && now == who
}

// certificateNames returns the names that a client certificate proves.
func (g *Gate) certificateNames(r *http.Request, policy *Policy) (names []string) {
	for _, san := range policy.certificateNames(r.TLS, g.now()) {
		names = append(names, "cert:"+san)
	}
	return names
}

// identify returns the names that a request has proved. A password that is given must be right,
// whatever else there is: who means to be one user is not taken for another.
func (g *Gate) identify(
	answer http.Header, r *http.Request, policy *Policy,
) (names []string, why reason, err error) {
	if r.TLS == nil || !r.TLS.HandshakeComplete {
		return nil, refusedNobody, errors.New("no TLS at a listener that wants it")
	}
	if _, given := r.Header["Authorization"]; given {
		return g.identifyUser(answer, r, policy)
	}
	names = g.certificateNames(r, policy)
	switch {
	case len(names) > 0:
		return names, "", nil
	case len(r.TLS.PeerCertificates) > 0:
		err = api.Errorf(api.CodeUnauthorized, "your certificate is not one that counts here: "+
			"its authority, date, use and alternative names must fit")
	case len(policy.users) > 0:
		challenge(answer)
		err = api.Errorf(api.CodeUnauthorized, "this director must know who asks: "+
			"give a user and a password")
	default:
		err = api.Errorf(api.CodeUnauthorized, "this director must know who asks: "+
			"give a certificate")
	}
	return nil, refusedNobody, err
}

func challenge(answer http.Header) {
	answer.Set("WWW-Authenticate", `Basic realm="director", charset="UTF-8"`)
}

func (g *Gate) identifyUser(
	answer http.Header, r *http.Request, policy *Policy,
) (names []string, why reason, err error) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil, refusedNobody, errors.New("a connection without an address")
	}
	user, password, basic := r.BasicAuth()
	switch {
	case len(policy.users) == 0:
		return nil, refusedNobody, api.Errorf(api.CodeUnauthorized,
			"there are no passwords here; give a certificate alone")
	case !basic || len(r.Header["Authorization"]) != 1:
		challenge(answer)
		return nil, refusedNobody, api.Errorf(api.CodeUnauthorized,
			"give a user and a password by the scheme Basic")
	}
	right, err := g.passwords.check(policy, from.Addr(), user, password)
	var wait tooMany
	switch {
	case errors.As(err, &wait):
		seconds := max(1, int(math.Ceil(wait.wait.Seconds())))
		answer.Set("Retry-After", strconv.Itoa(seconds))
		return nil, refusedTooMany, api.Errorf(api.CodeTooManyRequests,
			"%v (%s); wait %d s", wait, from.Addr(), seconds)
	case err != nil:
		return nil, refusedNobody, err
	case !right:
		challenge(answer)
		return nil, refusedPassword, api.Errorf(api.CodeUnauthorized,
			"user or password is wrong")
	}
	return []string{"user:" + user}, "", nil
}

// sameOrigin reports whether a request can have come from no page of another site. Programs that
// are no browsers send neither header.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" &&
		site != "none" {
		return false
	}
	origin := r.Header.Get("Origin")
	return origin == "" || strings.EqualFold(origin, "https://"+r.Host)
}
