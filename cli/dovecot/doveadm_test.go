package dovecot

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var whoBackend = netip.MustParseAddr("127.0.0.1")

// Answers as Dovecot 2.3.19.1 and 2.4.1 gave them.
const (
	who23 = `[["doveadmResponse",[{"username":"alice","service":"imap","pid":"22427",` +
		`"ip":"127.0.0.1"},{"username":"bob","service":"pop3","pid":"22425","ip":"127.0.0.1"}],` +
		`"director"]]`
	who24 = `[["doveadmResponse",[{"username":"alice","service":"imap","pid":"22427",` +
		`"ip":"127.0.0.1","dest_ip":""},{"username":"bob","service":"lmtp","pid":"22425",` +
		`"ip":"","dest_ip":""}],"director"]]`
)

// answering serves one answer, and keeps what it was asked.
func answeringDoveadm(t *testing.T, answer string, asked *string) *Doveadm {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization") + " " +
			string(body)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	return NewDoveadm(at.Port(), false, "SECRET")
}

func TestDoveadmList(t *testing.T) {
	for release, answer := range map[string]string{"2.3": who23, "2.4": who24} {
		var asked string
		d := answeringDoveadm(t, answer, &asked)
		got, err := d.List(t.Context(), whoBackend)
		if err != nil {
			t.Fatal(err)
		}
		want := []Connection{
			{User: "alice", Backend: whoBackend, PID: 22427},
			{User: "bob", Backend: whoBackend, PID: 22425},
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", release, diff)
		}
		const request = `POST /doveadm/v1 X-Dovecot-API U0VDUkVU ` +
			`[["who",{"separateConnections":true},"director"]]`
		if asked != request {
			t.Errorf("asked %s", asked)
		}
	}
}

func TestDoveadmKick(t *testing.T) {
	var asked string
	d := answeringDoveadm(t, `[["error",{"type":"exitCode", "exitCode":68},"director"]]`, &asked)
	if err := d.Kick(t.Context(), whoBackend, "bob"); err != nil {
		t.Error(err)
	}
	if !strings.HasSuffix(asked, ` [["kick",{"mask":["bob"]},"director"]]`) {
		t.Errorf("asked %s", asked)
	}
}

func TestDoveadmFails(t *testing.T) {
	for answer, want := range map[string]string{
		`[["error",{"type":"exitCode", "exitCode":64},"director"]]`: `"exitCode", exit code 64`,
		``:                      "EOF",
		`{}`:                    "not what doveadm gives",
		`[["doveadmResponse",[`: "EOF",
		`[["doveadmResponse",[{"username":"bob"}]`:                   "EOF",
		`[["doveadmResponse",[{"username":"bob"}],"other"]]`:         "not what doveadm gives",
		`[["doveadmResponse",[{"username":"bob"}],"director"`:        "EOF",
		`[["doveadmResponse",[{"username":7}],"director"]]`:          "json",
		`[["doveadmResponse",{"username":"bob"},"director"]]`:        "not what doveadm gives",
		`[["` + strings.Repeat("x", 1000) + `",[],"director"]]`:      "not what doveadm gives",
		`[["error",{"type":"` + strings.Repeat("x", 99) + `"},"d"]]`: "xxx",
		`[["doveadmResponse",["bob"],"director"]]`:                   "json",
	} {
		var asked string
		got, err := answeringDoveadm(t, answer, &asked).List(t.Context(), whoBackend)
		if err == nil || got != nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "asking doveadm of 127.0.0.1") {
			t.Errorf("%q: %v, %v, want %q", answer, got, err, want)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	}))
	defer server.Close()
	at := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	if _, err := NewDoveadm(at.Port(), false, "S").List(t.Context(), whoBackend); err == nil ||
		!strings.Contains(err.Error(), "HTTP status 302") {
		t.Errorf("a redirection: %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := NewDoveadm(at.Port(), true, "S").List(late, whoBackend); err == nil {
		t.Error("no error when time is over")
	}
}

func FuzzParseWho(f *testing.F) {
	for _, answer := range []string{
		who23, who24, `[["error",{"type":"exitCode", "exitCode":64},"director"]]`, `[[`,
		`[["doveadmResponse",[],"director"]]`,
	} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		got, err := parseWho(strings.NewReader(answer), whoBackend)
		if err != nil && got != nil {
			t.Errorf("%d sessions and the error %v", len(got), err)
		}
		for _, c := range got {
			if c.Backend != whoBackend || len(c.User) > len(answer) {
				t.Errorf("session %+v", c)
			}
		}
	})
}
