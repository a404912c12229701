package probe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Prober asks servers. The zero value dials by itself and logs nobody in. It is safe for concurrent
// use.
type Prober struct {
	Login *Login // test user; nil: nobody logs in
	// Dial opens a connection; nil: by the system. Tests replace it.
	Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// Check does one check of a server. It returns nil if the server is good, else a *Failure. ctx must
// have a deadline.
func (p *Prober) Check(ctx context.Context, server netip.Addr, check Check) error {
	if awaited, err := p.check(ctx, server, check); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return failureOf(check, awaited, err)
	}
	return nil
}

// check does a check. With an error it returns what the server was to do then, as failureOf wants
// it.
func (p *Prober) check(
	ctx context.Context, server netip.Addr, check Check,
) (awaited string, err error) {
	dial := p.Dial
	if dial == nil {
		dial = dialTCP
	}
	raw, err := dial(ctx, netip.AddrPortFrom(server, check.Port))
	if err != nil {
		return "", err
	}
	c := newConn(ctx, check, raw)
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(deadline); err != nil {
			return c.awaited, err
		}
	}
	// A check that is given up must not wait for its deadline.
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if check.Proxy != 0 {
		if _, err := raw.Write(proxyHeader(check.Proxy, raw)); err != nil {
			return c.awaited, err
		}
	}
	if check.Encryption == TLS {
		if err := c.startTLS(); err != nil {
			return c.awaited, err
		}
		defer c.Conn.Close()
	}
	err = dialogues[check.Protocol](c, p.Login)
	return c.awaited, err
}

func dialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}

// All does several checks of a server at the same time. It returns nil if all are good, else the
// *Failure of the first one in the list that is not.
func (p *Prober) All(ctx context.Context, server netip.Addr, checks []Check) error {
	failures := make([]chan error, len(checks))
	for i, check := range checks {
		failures[i] = make(chan error, 1)
		go func() { failures[i] <- p.Check(ctx, server, check) }()
	}
	var first error
	for _, failure := range failures {
		if err := <-failure; err != nil && first == nil {
			first = err
		}
	}
	return first
}
