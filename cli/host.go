package cli

import (
	"context"
	"net/netip"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/ring"
)

// resolve returns the addresses of a backend as it was named: by address, or by a name that this
// host resolves.
func (inv *invocation) resolve(c *cli.Context, host string) ([]netip.Addr, error) {
	if strings.Trim(host, "0123456789") == "" {
		// inet_aton would take a lone number for an address; here it means that the host is
		// missing.
		return nil, usagef(c, "Invalid host '%s'", host)
	}
	if addr, err := ring.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	} else if strings.Trim(host, "0123456789.") == "" || strings.ContainsAny(host, ":[]") {
		return nil, usagef(c, "Invalid host '%s': not an IP address", host)
	}
	addrs, err := inv.resolveName(c.Context, host)
	if err != nil {
		return nil, err
	}
	return addrs, nil
}

func (inv *invocation) resolveName(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := inv.Resolve(ctx, host)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || len(addrs) == 0 {
		advice := "give an IP address, or look at this host's resolver"
		if strings.Contains(host, "@") { // only add and update have cut a tag off
			advice = "give the backend without a tag"
		}
		return nil, exitf(exitTemporary,
			"gethostname(%s) failed: Name or service not known; %s", host, advice)
	}
	return addrs, nil
}

// cutTag splits HOST@TAG.
func cutTag(host string) (string, *string) {
	host, tag, found := strings.Cut(host, "@")
	if !found {
		return host, nil
	}
	return host, &tag
}

// first returns the first address of a host.
func (inv *invocation) first(c *cli.Context, host string) (netip.Addr, error) {
	addrs, err := inv.resolve(c, host)
	if err != nil {
		return netip.Addr{}, err
	}
	return addrs[0], nil
}
