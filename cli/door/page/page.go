package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"
	"unicode"

	"directormesh/cli/api"
	"directormesh/ring"
)

//go:embed assets
var assets embed.FS

// policy is what the browser may load: the page's own style and script. It may not be shown inside
// other pages, where a click could be stolen.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// eventsShown is how many past events the page shows.
const eventsShown = 30

// eventKinds are the kinds of events that the page shows. Users who are moved are too many: flushes
// and drains show how many they were.
func eventKinds() []string {
	return slices.DeleteFunc(api.EventKinds(), func(k string) bool { return k == api.KindMoved })
}

// Source is where the page gets what it shows. It is safe for concurrent use.
type Source interface {
	Self() api.Self
	Directors() api.Directors
	Backends() api.Backends
	Health() api.Health
	Flushes() api.Flushes
	Hash(user string) ring.UserHash
	User(tag ring.Tag, h ring.UserHash) api.User
}

// Config is what a Page needs.
type Config struct {
	Source Source
	Events func(q api.EventQuery) []api.Event // past ones, oldest first
	Now    func() time.Time
}

// Page serves the page of one director. It is safe for concurrent use.
type Page struct {
	cfg   Config
	whole *template.Template
}

// New returns a page.
func New(cfg Config) *Page {
	return &Page{cfg: cfg, whole: template.Must(template.New("page.html").
		ParseFS(assets, "assets/*.html"))}
}

// Serve answers a request for the page. The parameters user and tag ask where a user is.
func (p *Page) Serve(w http.ResponseWriter, r *http.Request, mayChange bool) error {
	query := r.URL.Query()
	v := p.content(query.Get("user"), query.Get("tag"))
	v.MayChange = mayChange
	var html bytes.Buffer
	if err := p.whole.Execute(&html, v); err != nil {
		return fmt.Errorf("making the page: %w", err)
	}
	secure(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// Whatever terminals and browsers may take for more than text stays out, wherever it is from.
	_, _ = w.Write(bytes.Map(printable, html.Bytes())) // a browser that is gone needs no page
	return nil
}

func printable(r rune) rune {
	if r != '\n' && r != '\t' && !unicode.IsPrint(r) && !unicode.IsSpace(r) {
		return unicode.ReplacementChar
	}
	return r
}

// Files are the paths of the style and the script.
func Files() []string { return []string{"/page.css", "/page.js"} }

// ServeFile answers a request for one of Files.
func ServeFile(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, assets, "assets"+r.URL.Path)
}

func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}
