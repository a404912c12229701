package resolve_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dns is a name server that answers over UDP what a function says.
type dns struct {
	conn net.PacketConn

	mu     sync.Mutex
	answer func() (dnsmessage.RCode, []netip.Addr)
}

// serveDNS serves until the test ends.
func serveDNS(t *testing.T) *dns {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dns{conn: conn}
	done := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		packet := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(packet)
			if err != nil {
				return // closed
			}
			if reply := d.reply(packet[:size]); reply != nil {
				_, _ = conn.WriteTo(reply, from) // the resolver asks again
			}
		}
	}()
	return d
}

// say changes what is answered from now on.
func (d *dns) say(answer func() (dnsmessage.RCode, []netip.Addr)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

func (d *dns) reply(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	d.mu.Lock()
	code, addrs := d.answer()
	d.mu.Unlock()
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RCode: code, RecursionAvailable: true}
	m.Additionals = nil
	if m.Questions[0].Type == dnsmessage.TypeA {
		for _, addr := range addrs {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{
					Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1,
				},
				Body: &dnsmessage.AResource{A: addr.As4()},
			})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// resolver asks this server only.
func (d *dns) resolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "udp4", d.conn.LocalAddr().String())
		},
	}
}
