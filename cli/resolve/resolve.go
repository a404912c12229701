package resolve

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"

	"directormesh/ring"
)

// Resolver is what this package needs of a net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

const (
	// maxHosts bounds the hosts of a service whose addresses are looked up, atATime how many are at
	// a time.
	maxHosts = 1000
	atATime  = 16
)

// ErrNotFound says that name servers have answered: there is no such address.
var ErrNotFound = errors.New("no such host")

// Targets returns the addresses of a name. With an error they are those that were found all the
// same. The error is ErrNotFound if all questions were answered and there is none.
func Targets(ctx context.Context, r Resolver, name string) ([]ring.Target, error) {
	var found []ring.Target
	var err error
	if strings.HasPrefix(name, "_") {
		found, err = service(ctx, r, name)
	} else {
		var addrs []netip.Addr
		addrs, err = host(ctx, r, name)
		for _, addr := range addrs {
			found = append(found, ring.Target{Addr: addr, VHosts: ring.DefaultVHosts})
		}
	}
	if len(found) == 0 && err == nil {
		err = ErrNotFound
	}
	return found, err
}

// host returns the addresses of a host. Without an error there is no other.
func host(ctx context.Context, r Resolver, name string) (addrs []netip.Addr, err error) {
	networks := [...]string{"ip4", "ip6"}
	var found [len(networks)][]netip.Addr
	var errs [len(networks)]error
	var asked sync.WaitGroup
	for i, network := range networks {
		asked.Go(func() { found[i], errs[i] = r.LookupNetIP(ctx, network, name) })
	}
	asked.Wait()
	for i := range networks {
		for _, addr := range found[i] {
			addrs = append(addrs, addr.Unmap())
		}
		if errs[i] != nil && !notFound(errs[i]) {
			err = cmp.Or(err, errs[i])
		}
	}
	return addrs, err
}

// notFound says whether an error is an answer: there is none.
func notFound(err error) bool {
	var dns *net.DNSError
	var none *net.AddrError // the host has addresses, but none of this sort
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &none)
}

// service returns the addresses of the hosts of a service.
func service(ctx context.Context, r Resolver, name string) (found []ring.Target, err error) {
	_, hosts, err := r.LookupSRV(ctx, "", "", name)
	if notFound(err) {
		err = nil
	}
	if len(hosts) > maxHosts {
		hosts, err = hosts[:maxHosts], errors.New("it has more than 1,000 hosts")
	}
	weights := vhosts(hosts)
	addrs, errs := make([][]netip.Addr, len(hosts)), make([]error, len(hosts))
	turns := make(chan struct{}, atATime)
	var asked sync.WaitGroup
	for i, h := range hosts {
		turns <- struct{}{}
		asked.Go(func() {
			defer func() { <-turns }()
			addrs[i], errs[i] = host(ctx, r, h.Target)
		})
	}
	asked.Wait()
	for i, h := range hosts {
		err = cmp.Or(err, errs[i])
		for _, addr := range addrs[i] {
			found = append(found, ring.Target{
				Addr: addr, VHosts: weights[i], Standby: h.Priority > hosts[0].Priority,
			})
		}
	}
	return found, err
}

// vhosts returns the vhost counts that the weights of hosts stand for, and has the hosts sorted by
// priority.
func vhosts(hosts []*net.SRV) []int {
	largest := 0
	for i, h := range hosts {
		largest = max(largest, int(h.Weight))
		if h.Priority < hosts[0].Priority {
			hosts[0], hosts[i] = hosts[i], hosts[0]
		}
	}
	counts := make([]int, len(hosts))
	for i, h := range hosts {
		switch weight := int(h.Weight); {
		case largest == 0:
			counts[i] = ring.DefaultVHosts
		case largest > ring.MaxVHosts:
			counts[i] = max(weight*ring.MaxVHosts/largest, 1)
		default:
			counts[i] = max(weight, 1)
		}
	}
	return counts
}
