package page_test

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/door/page"
	"directormesh/cli/door/page/pagetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func serve(t testing.TB, s *pagetest.State, target string, mayChange bool) *http.Response {
	t.Helper()
	p := page.New(page.Config{
		Source: s, Events: s.Events, Now: func() time.Time { return pagetest.Now },
	})
	w := httptest.NewRecorder()
	if err := p.Serve(w, httptest.NewRequest(http.MethodGet, target, nil), mayChange); err != nil {
		t.Fatal(err)
	}
	return w.Result()
}

func body(t testing.TB, s *pagetest.State, target string, mayChange bool) string {
	t.Helper()
	var b strings.Builder
	if err := serve(t, s, target, mayChange).Write(&b); err != nil {
		t.Fatal(err)
	}
	_, html, _ := strings.Cut(b.String(), "\r\n\r\n")
	return html
}

// TestPage compares the page of each state with what it was when somebody looked at it.
func TestPage(t *testing.T) {
	for _, s := range pagetest.States() {
		if s.Name == "large" {
			continue // more of the same
		}
		t.Run(s.Name, func(t *testing.T) {
			target := "/"
			if s.Name == "healthy" {
				target = "/?user=alice&tag=ssd"
			}
			got := body(t, s, target, false)
			file := filepath.Join("testdata", s.Name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got; run with -update if that is right:\n%s", diff)
			}
		})
	}
}

// TestHostileText shows names and reasons that are markup: none of it is any on the page.
func TestHostileText(t *testing.T) {
	for _, s := range pagetest.States() {
		if s.Name != "hostile" {
			continue
		}
		html := body(t, s, "/?user=%3Cscript%3Ealert(2)%3C/script%3E", true)
		if strings.Contains(html, "<script>alert") || strings.Contains(html, "\x1b") ||
			strings.Count(html, "<script") != 1 {
			t.Errorf("text from outside is markup:\n%s", html)
		}
		return
	}
	t.Fatal("there is no such state")
}

// TestChangesAreOffered only to those who may make them.
func TestChangesAreOffered(t *testing.T) {
	s := pagetest.States()[0]
	for _, mayChange := range []bool{false, true} {
		html := body(t, s, "/", mayChange)
		if got := strings.Contains(html, "data-may-change"); got != mayChange {
			t.Errorf("may change %v: offered %v", mayChange, got)
		}
	}
}

// TestHeaders has a browser load and run nothing that is not of the director.
func TestHeaders(t *testing.T) {
	h := serve(t, pagetest.States()[0], "/", true).Header
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy %q allows too much", policy)
	}
	for _, file := range page.Files() {
		w := httptest.NewRecorder()
		page.ServeFile(w, httptest.NewRequest(http.MethodGet, file, nil))
		if w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("%s: status %d, headers %v", file, w.Code, w.Header())
		}
	}
}

// FuzzPage asks for users and shows events with any text: all of it stays text.
func FuzzPage(f *testing.F) {
	f.Add("alice@example.org", "ssd", "connection refused")
	f.Add("<script>", "\" onload=\"", "</li><b>")
	plain := strings.Count(body(f, pagetest.Saying(""), "/?user=a", true), "<")
	f.Fuzz(func(t *testing.T, user, tag, text string) {
		query := url.Values{"user": {"a" + user}, "tag": {tag}}
		html := body(t, pagetest.Saying(text), "/?"+query.Encode(), true)
		if n := strings.Count(html, "<"); n != plain {
			t.Errorf("%d tags, want %d:\n%s", n, plain, html)
		}
		if !utf8.ValidString(html) {
			t.Error("the page is no UTF-8")
		}
	})
}
