package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/ring"
)

var equal = cmpopts.EquateComparable(netip.Addr{})

// fake is a resolver that knows a few names.
type fake struct {
	hosts    map[string][]string // network and host → addresses, or "!" and what is wrong
	services map[string][]*net.SRV
}

func (f fake) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if host == "slow.example.org" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var addrs []netip.Addr
	for _, text := range f.hosts[network+" "+host] {
		if text[0] == '!' {
			return nil, &net.DNSError{Err: text[1:], Name: host, IsTemporary: true}
		}
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (f fake) LookupSRV(
	_ context.Context, service, proto, name string,
) (string, []*net.SRV, error) {
	if service+proto != "" {
		return "", nil, errors.New("the name is given as it is")
	}
	hosts, ok := f.services[name]
	if !ok {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return name, hosts, nil
}

func at(addr string, vhosts int, standby bool) ring.Target {
	return ring.Target{Addr: netip.MustParseAddr(addr), VHosts: vhosts, Standby: standby}
}

func TestTargets(t *testing.T) {
	srv := func(target string, priority, weight uint16) *net.SRV {
		return &net.SRV{Target: target, Port: 143, Priority: priority, Weight: weight}
	}
	r := fake{
		hosts: map[string][]string{
			"ip4 both": {"192.0.2.1", "::ffff:192.0.2.2"}, "ip6 both": {"2001:db8::1"},
			"ip4 four": {"192.0.2.4"}, "ip6 six": {"2001:db8::6"},
			"ip4 part": {"192.0.2.3"}, "ip6 part": {"!server misbehaving"},
			"ip4 bad": {"!server misbehaving"},
		},
		services: map[string][]*net.SRV{
			"_plain._tcp":  {srv("four", 10, 0), srv("six", 10, 0)},
			"_weight._tcp": {srv("four", 0, 30), srv("six", 0, 0)},
			"_large._tcp":  {srv("four", 0, 60000), srv("six", 0, 20)},
			"_spare._tcp":  {srv("six", 20, 0), srv("four", 10, 0)},
			"_part._tcp":   {srv("four", 0, 0), srv("bad", 0, 0)},
			"_old._tcp":    {srv("four", 0, 0), srv("nobody", 0, 0)},
			"_none._tcp":   {},
		},
	}
	for name, test := range map[string]struct {
		want    []ring.Target
		problem string
	}{
		"both": {want: []ring.Target{
			at("192.0.2.1", 100, false), at("192.0.2.2", 100, false),
			at("2001:db8::1", 100, false),
		}},
		"four":        {want: []ring.Target{at("192.0.2.4", 100, false)}},
		"six":         {want: []ring.Target{at("2001:db8::6", 100, false)}},
		"part":        {[]ring.Target{at("192.0.2.3", 100, false)}, "server misbehaving"},
		"bad":         {nil, "server misbehaving"},
		"nobody":      {nil, "no such host"},
		"_nobody.tcp": {nil, "no such host"},
		"_none._tcp":  {nil, "no such host"},
		"_plain._tcp": {want: []ring.Target{
			at("192.0.2.4", 100, false), at("2001:db8::6", 100, false),
		}},
		"_weight._tcp": {want: []ring.Target{
			at("192.0.2.4", 30, false), at("2001:db8::6", 1, false),
		}},
		"_large._tcp": {want: []ring.Target{
			at("192.0.2.4", 1000, false), at("2001:db8::6", 1, false),
		}},
		"_spare._tcp": {want: []ring.Target{
			at("192.0.2.4", 100, false), at("2001:db8::6", 100, true),
		}},
		"_part._tcp": {[]ring.Target{at("192.0.2.4", 100, false)}, "server misbehaving"},
		"_old._tcp":  {want: []ring.Target{at("192.0.2.4", 100, false)}},
	} {
		got, err := Targets(t.Context(), r, name)
		if diff := cmp.Diff(test.want, got, equal); diff != "" || Problem(err) != test.problem {
			t.Errorf("%s: problem %q, want %q (-want +got):\n%s", name, Problem(err), test.problem,
				diff)
		}
		if errors.Is(err, ErrNotFound) != (test.problem == "no such host") {
			t.Errorf("%s: not found by %v", name, err)
		}
	}
}

// Names are looked up at once and in every round; one that takes its time holds up no other, and
// nothing is told once the watcher has ended.
func TestWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(map[string][]string)
		w := Watcher{
			Resolver: fake{hosts: map[string][]string{"ip4 four": {"192.0.2.4"}}},
			Names:    []ring.HostName{{Host: "slow.example.org"}, {Host: "four", Tag: "x"}},
			Every:    4 * time.Second,
		}
		turn := make(chan struct{}, 1)
		w.Report = func(name ring.HostName, found []ring.Target, problem string) {
			turn <- struct{}{}
			key := name.Host + "@" + string(name.Tag)
			told[key] = append(told[key], problem)
			<-turn
		}
		ctx, cancel := context.WithTimeout(t.Context(), 21*time.Second)
		defer cancel()
		w.Run(ctx)
		want := map[string][]string{
			"four@x":            {"", "", "", "", "", ""},
			"slow.example.org@": {"no answer in time", "no answer in time"},
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
