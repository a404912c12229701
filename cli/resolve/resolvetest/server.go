// Package resolvetest has a name server for tests: over UDP, for addresses of IPv4. Of which names
// it knows, each test says.
package resolvetest

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// ttl is for how long an answer may be kept, in seconds.
const ttl = 1

// Answer says what a name server answers when it is asked for a name, which has small letters and
// ends with a dot. It may be called from another goroutine than that of the test.
type Answer func(name string) (code dnsmessage.RCode, addrs []netip.Addr)

// Serve answers at conn until the test ends, and closes conn then. What cannot be read gets no
// answer.
func Serve(t testing.TB, conn net.PacketConn, answer Answer) {
	t.Helper()
	var serving sync.WaitGroup
	t.Cleanup(func() {
		conn.Close()
		serving.Wait()
	})
	serving.Go(func() {
		question := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(question)
			if err != nil {
				return // closed
			}
			if reply := replyTo(question[:size], answer); reply != nil {
				_, _ = conn.WriteTo(reply, from) // the resolver asks again
			}
		}
	})
}

func replyTo(question []byte, answer Answer) []byte {
	var asked dnsmessage.Message
	if asked.Unpack(question) != nil || len(asked.Questions) != 1 {
		return nil
	}
	q := asked.Questions[0]
	code, addrs := answer(strings.ToLower(q.Name.String()))
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: asked.ID, Response: true, Authoritative: true, RCode: code,
			RecursionDesired: asked.RecursionDesired, RecursionAvailable: true,
		},
		Questions: asked.Questions,
	}
	if q.Type == dnsmessage.TypeA {
		for _, addr := range addrs {
			reply.Answers = append(reply.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{
					Name: q.Name, Type: q.Type, Class: q.Class, TTL: ttl,
				},
				Body: &dnsmessage.AResource{A: addr.As4()},
			})
		}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}
