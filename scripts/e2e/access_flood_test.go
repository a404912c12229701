//go:build e2e

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// guessRate is how many wrong passwords strangers try a second, and guessTime how long.
	guessRate = 1000
	guessTime = 8 * time.Second
	// rightTime is within what a right user must be answered meanwhile.
	rightTime = 5 * time.Second
)

// regular asks as right users do, over new connections and old ones, until the function that it
// returns is called, which gives back how long answers took.
func (a *access) regular(from string, users ...string) (end func() []time.Duration) {
	stop := make(chan struct{})
	var asking sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	for i, user := range users {
		asking.Go(func() {
			v := a.visitor(from)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if (n+i)%2 == 0 {
					v.CloseIdleConnections()
				}
				began := time.Now()
				status, body := v.ask(user, user, http.MethodGet, "/v1/backends", "")
				if status != 200 {
					a.t.Errorf("%s at %s gets %d: %s", user, from, status, body)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	return func() []time.Duration {
		close(stop)
		asking.Wait()
		slices.Sort(took)
		return took
	}
}

// checkRegular demands that right users were answered, and in time.
func checkRegular(t *testing.T, who string, took []time.Duration) {
	t.Helper()
	if len(took) < 50 {
		t.Fatalf("%s: only %d answers", who, len(took))
	}
	slowest := took[len(took)-1]
	t.Logf("%s: %d answers, median %v, slowest %v", who, len(took), took[len(took)/2], slowest)
	if slowest > rightTime {
		t.Errorf("%s: an answer took %v", who, slowest)
	}
}

// TestAccessGuesses tries a thousand wrong passwords a second from forty addresses, and among them
// one where right users are too. The right users, director.sock and the mesh go on.
func TestAccessGuesses(t *testing.T) {
	const hosts = 40
	a := startAccess(t)
	d1 := a.directors[0]
	for _, user := range []string{"alice", "bob"} { // each password is compared once
		v := a.visitor("127.0.6.1")
		if status, body := v.ask(user, user, http.MethodGet, "/v1/backends", ""); status != 200 {
			t.Fatalf("%s: %d %s", user, status, body)
		}
	}
	end := loginsMeanwhile(t, a.mesh)
	before := metricsOf(t, d1)
	elsewhere := a.regular("127.0.5.1", "alice", "bob", "alice", "bob")
	beside := a.regular("127.0.6.1", "bob", "bob")
	var count [600]atomic.Int64 // by status
	var guessing sync.WaitGroup
	for host := range hosts {
		guessing.Go(func() {
			v := a.visitor(fmt.Sprintf("127.0.6.%d", host+1))
			// Alice's is guessed everywhere, so at 127.0.6.1 too; Bob's is not.
			users := []string{"alice", "mallory", "root"}
			each := time.NewTicker(time.Second * hosts / guessRate)
			defer each.Stop()
			for i, began := 0, time.Now(); time.Since(began) < guessTime; i++ {
				<-each.C
				status, _ := v.ask(users[i%len(users)], fmt.Sprint(host, i), http.MethodGet,
					"/v1/backends", "")
				count[status].Add(1)
			}
		})
	}
	guessing.Wait()
	checkRegular(t, "right users elsewhere", elsewhere())
	checkRegular(t, "right users beside strangers", beside())
	end()
	wrong, tooMany := count[401].Load(), count[429].Load()
	t.Logf("%d guesses were wrong, %d not looked at", wrong, tooMany)
	if count[200].Load() > 0 || wrong == 0 || wrong > 5*hosts || tooMany < 3000 {
		t.Errorf("%d guesses were right, %d wrong, %d not looked at", count[200].Load(), wrong,
			tooMany)
	}
	grown := metricsOf(t, d1).since(before)
	refused := grown.sum("director_http_refused_total", "reason", "password", "too_many_passwords")
	if refused < float64(wrong+tooMany) {
		t.Errorf("%v refused, want %d", refused, wrong+tooMany)
	}
	checkUnharmed(t, a.mesh)
}

// TestAccessIdle opens ten thousand connections to the door for HTTPS from many addresses, which
// say nothing, stop in the middle of a handshake or header, or are idle after an error. Right
// users, director.sock and the mesh go on.
func TestAccessIdle(t *testing.T) {
	const hosts = 50
	a := startAccess(t)
	d1 := a.directors[0]
	const first, second = "127.0.5.1", "127.0.5.2"
	for _, user := range []string{"alice", "bob"} {
		a.visitor(first).ask(user, user, http.MethodGet, "/v1/backends", "")
	}
	end := loginsMeanwhile(t, a.mesh)
	alice, bob := a.regular(first, "alice"), a.regular(second, "bob")
	opened := make([][]net.Conn, hosts)
	var opening sync.WaitGroup
	for host := range hosts {
		opening.Go(func() {
			from := &net.TCPAddr{IP: net.IPv4(127, 0, 7, byte(host+1))}
			dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: from}
			each := time.NewTicker(2 * connectTime * hosts / strangers)
			defer each.Stop()
			for i := range strangers / hosts {
				<-each.C
				c, err := dialer.Dial("tcp", a.addr)
				if err != nil {
					t.Errorf("%s takes no connection any more: %v", d1.name, err)
					return
				}
				opened[host] = append(opened[host], c)
				a.beIdle(c, i)
			}
		})
	}
	opening.Wait()
	connections := metricsOf(t, d1)[`director_door_connections{door="http"}`]
	most := metricsOf(t, d1)[`director_door_connections_max{door="http"}`]
	if connections > most || connections < most/2 {
		t.Errorf("%v connections of at most %v", connections, most)
	}
	checkRegular(t, "alice", alice())
	checkRegular(t, "bob", bob())
	pause(t, 11*time.Second) // nobody has longer for a handshake or a header
	end()
	for _, conns := range opened {
		for _, c := range conns {
			c.Close()
		}
	}
	within(t, 30*time.Second, func() error {
		left := metricsOf(t, d1)[`director_door_connections{door="http"}`]
		if left > 8 {
			return fmt.Errorf("%v connections are left", left)
		}
		return nil
	})
	checkUnharmed(t, a.mesh)
}

// beIdle says something on a connection and then nothing more. It does not wait for an answer.
func (a *access) beIdle(c net.Conn, kind int) {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second)) // it may be closed already
	switch kind % 5 {
	case 1:
		_, _ = c.Write([]byte{0x16, 0x03, 0x01})
	case 2, 3, 4:
		outer := tls.Client(c, &tls.Config{
			RootCAs: a.files.Authority.Pool(), ServerName: "127.0.0.101",
		})
		if outer.Handshake() != nil {
			return
		}
		switch kind % 5 {
		case 3:
			_, _ = io.WriteString(outer, "GET /v1/backends HTTP/1.1\r\nHost: ")
		case 4: // 401, and the connection could stay
			_, _ = io.WriteString(outer, "GET / HTTP/1.1\r\nHost: 127.0.0.101\r\n\r\n")
		}
	}
}
