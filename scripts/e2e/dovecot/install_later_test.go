//go:build e2e

package dovecot

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"directormesh/cli/door/webauth/webauthtest"
	"directormesh/scripts/e2e/netns"
)

// get asks for a page from a host; status 0: there is no answer, and the text says why.
func get(from *netns.Host, url string, trust *webauthtest.Authority) (status int, text string) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, addr string) (c net.Conn, err error) {
			err = from.Do(func() (err error) {
				c, err = net.DialTimeout(network, addr, 5*time.Second)
				return err
			})
			return c, err
		},
	}
	if trust != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: trust.Pool()}
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

// losesBackend stops the backend of a user, who then is let in at another one.
func (n *newcomer) losesBackend() {
	n.t.Helper()
	lost := slices.IndexFunc(n.backends, func(b *fakeBackend) bool {
		return b.logins("alice@example.org") > 0
	})
	n.backends[lost].close()
	for i := range n.hosts {
		var text string
		if !eventually(outTime, func() bool {
			text = n.hosts[i].must("director", "status")
			return strings.Contains(text, "failed")
		}) {
			n.t.Fatalf("host %d does not see that %s is away:\n%s", i+1, n.backends[lost].ip, text)
		}
	}
	n.loginAt(1, "alice@example.org")
	if status := n.hosts[0].must("director", "status", "alice@example.org"); strings.Contains(
		status, "Current: "+n.backends[lost].ip.String()) {
		n.t.Errorf("after the login: %s", status)
	}
}

// letsOperatorsIn is the guide's part on HTTPS, with files as its page on security has them.
func (n *newcomer) letsOperatorsIn() {
	n.t.Helper()
	host, at := n.hosts[0], exampleAddress(1).Addr()
	files := webauthtest.NewFiles(n.t, n.t.TempDir(), at.String())
	files.Configure(nil, map[string]string{"alice": "secret"})
	for _, name := range []string{"web.yml", "director.crt", "director.key"} {
		raw, err := os.ReadFile(files.Path(name))
		if err != nil {
			n.t.Fatal(err)
		}
		host.write("/etc/director/"+name, string(raw), 0o644)
	}
	host.edits("http: 0.0.0.0:9443", "web-config-file: /etc/director/web.yml",
		"http-readers: [user:prometheus]", "http-admins: [user:alice]", "http-hosts: [10.12.90.1]")
	n.types("chown director: /etc/director/web.yml", host)
	host.must("director", "ring", "status", "--wait")
	url := fmt.Sprintf("https://%%s%s:9443/", at)
	if status, page := get(n.desk, fmt.Sprintf(url, "alice:secret@"), files.Authority); status !=
		200 || !strings.Contains(page, "proxy2") {
		n.t.Errorf("the page for an operator elsewhere: %d %.300s", status, page)
	}
	if status, text := get(n.desk, fmt.Sprintf(url, ""), files.Authority); status != 401 {
		n.t.Errorf("the page for anybody elsewhere: %d %.300s", status, text)
	}
}

// upgrades is the guide's upgrade: one host after the other, each time until all are synced. Users
// stay where they are.
func (n *newcomer) upgrades(deb string) {
	n.t.Helper()
	n.loginAt(0, "carol@example.org")
	home := n.hosts[0].must("director", "lookup", "carol@example.org")
	for i, host := range n.hosts {
		host.brings(deb)
		n.types("apt install", host)
		got := host.must("director", "ring", "status", "--wait")
		if strings.Count(got, " synced ") != len(n.hosts) {
			n.t.Errorf("host %d is upgraded: %s", i+1, got)
		}
		host.shows("director 1.0.1 ", "director", "version")
		host.shows(home, "director", "lookup", "carol@example.org")
		n.loginAt(i, "carol@example.org")
	}
}

// holds runs a director without systemd on a host, as the guide shows it.
func (n *newcomer) holds(host *packaged) {
	n.t.Helper()
	host.must(append([]string{"systemctl", "stop"}, packagedUnits...)...)
	host.must("systemd-run", "--quiet", "--unit=hold", "bash", "-c", n.block("director hold"))
	var got result
	if !eventually(startTime, func() bool {
		got = host.run("director", "ring", "status", "--wait")
		return got.status == 0 && strings.Count(got.stdout, " synced ") == len(n.hosts)
	}) {
		n.t.Errorf("a director under director hold: %+v", got)
	}
	if ok, err := host.hasReader("/run/dovecot/login/x/proxy-notify"); !ok {
		n.t.Errorf("nobody reads the FIFO: %v", err)
	}
	n.loginAt(2, "bob@example.org")
	host.must("systemctl", "stop", "hold.service")
}
