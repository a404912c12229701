package ring

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ParseMailServers reads a director_mail_servers list, entries separated by white space:
//
//	192.0.2.1              one backend; IPv6 with or without brackets
//	192.0.2.1-192.0.2.9    a range with both ends; they differ in the last 8 bits only (IPv6: 16)
//	mail.example.org       a host name: one backend for each address that resolve returns
//	_imap._tcp.example.org likewise the name of a service
//	mail.example.org@ssd   each of these with a tag, which is all that follows the first @
//
// Every backend gets DefaultVHosts, unless resolve gives it others. They are returned in
// CompareAddr order. IPv4 addresses that resolve returns in IPv6 form are taken as IPv4. An empty
// list has no backends and is no error. A name of which resolve says ErrLater has none yet.
//
// The error joins one error for each bad entry. An address that is given twice is an error here,
// where Dovecot makes two table rows of it. resolve is called once per entry with a host name; nil
// refuses host names.
func ParseMailServers(
	list string, resolve func(host string) ([]Target, error),
) ([]Backend, error) {
	var (
		backends []Backend
		errs     []error
		givenBy  = make(map[netip.Addr]string)
		tags     = make(map[Tag]bool)
	)
	for entry := range strings.FieldsSeq(list) {
		parsed, err := parseMailServer(entry, resolve)
		if err == nil {
			err = claim(parsed, entry, givenBy)
		}
		if err == nil && len(backends)+len(parsed) > MaxBackends {
			errs = append(errs,
				fmt.Errorf("mail servers: more than %d in all; check the ranges", MaxBackends))
			break
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("mail servers: %q: %w", entry, err))
			continue
		}
		backends = append(backends, parsed...)
		if len(parsed) > 0 {
			tags[parsed[0].Tag] = true
		}
	}
	if len(tags) > MaxTags {
		errs = append(errs, fmt.Errorf("mail servers: %d tags; the most is %d", len(tags), MaxTags))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(backends, func(a, b Backend) int { return CompareAddr(a.Addr, b.Addr) })
	return backends, nil
}

// claim notes in givenBy that entry names these backends, or says which of them another entry has
// named.
func claim(backends []Backend, entry string, givenBy map[netip.Addr]string) error {
	for _, b := range backends {
		if other, taken := givenBy[b.Addr]; taken {
			return fmt.Errorf("%s is also given by %q; give each address once",
				AddrText(b.Addr), other)
		}
		givenBy[b.Addr] = entry
	}
	return nil
}

// parseMailServer reads one entry of the list.
func parseMailServer(
	entry string, resolve func(host string) ([]Target, error),
) ([]Backend, error) {
	what, tag, _ := strings.Cut(entry, "@")
	if what == "" {
		return nil, errors.New("has a tag but no address before it")
	}
	if tag != "" {
		if err := CheckWord(tag); err != nil {
			return nil, fmt.Errorf("tag %w", err)
		}
	}
	targets, name, err := mailServerTargets(what, resolve)
	if err != nil {
		return nil, err
	}
	backends := make([]Backend, len(targets))
	for i, t := range targets {
		backends[i] = Backend{
			Addr: t.Addr, Name: name, Tag: Tag(tag), VHosts: t.VHosts, Standby: t.Standby,
		}
	}
	return backends, nil
}

// HostName is a name of backends in a list of mail servers, with the tag that its backends get.
type HostName struct {
	Host string
	Tag  Tag
}

// HostNames returns the names in a director_mail_servers list, in their order. What else is in it,
// or wrong with it, is ParseMailServers' to tell.
func HostNames(list string) (names []HostName) {
	_, _ = ParseMailServers(list, func(host string) ([]Target, error) {
		names = append(names, HostName{Host: host})
		return nil, ErrLater
	})
	given := make(map[string][]Tag)
	for entry := range strings.FieldsSeq(list) {
		what, tag, _ := strings.Cut(entry, "@")
		given[what] = append(given[what], Tag(tag))
	}
	for i := range names {
		host := names[i].Host
		names[i].Tag, given[host] = given[host][0], given[host][1:]
	}
	return names
}

// mailServerTargets reads an address, a range or a host name; only the latter has a name.
func mailServerTargets(
	what string, resolve func(host string) ([]Target, error),
) (targets []Target, name string, err error) {
	if a, err := ParseAddr(what); err == nil {
		return targetsAt(a), "", nil
	}
	if first, last, found := strings.Cut(what, "-"); found {
		// Host names have hyphens too, even after something that reads like an address: what is not
		// a range may still resolve.
		from, fromErr := ParseAddr(first)
		to, toErr := ParseAddr(last)
		switch {
		case fromErr == nil && toErr == nil:
			addrs, err := addrRange(from, to)
			return targetsAt(addrs...), "", err
		case fromErr == nil && last == "":
			return nil, "", errors.New("range has no end")
		case first == "" && toErr == nil:
			return nil, "", errors.New("range has no start")
		}
	}
	if err := CheckHostName(what); err != nil {
		return nil, "", err
	}
	targets, err = resolveHost(what, resolve)
	return targets, what, err
}

// targetsAt are targets as those are that were given by address.
func targetsAt(addrs ...netip.Addr) (targets []Target) {
	for _, a := range addrs {
		targets = append(targets, Target{Addr: a, VHosts: DefaultVHosts})
	}
	return targets
}

// addrRange returns all addresses from first to last, within Dovecot's limits.
func addrRange(first, last netip.Addr) ([]netip.Addr, error) {
	switch {
	case first.Is4() != last.Is4():
		return nil, errors.New("range mixes IPv4 and IPv6")
	case last.Less(first):
		return nil, errors.New("range ends before it starts")
	}
	common := 24
	if first.Is6() {
		common = 112
	}
	if prefix, err := first.Prefix(common); err != nil || !prefix.Contains(last) {
		return nil, fmt.Errorf("range is too large: only the last %d bits may differ",
			first.BitLen()-common)
	}
	var addrs []netip.Addr
	for a := first; ; a = a.Next() {
		addrs = append(addrs, a)
		if a == last {
			return addrs, nil
		}
	}
}

var errNoMailServer = errors.New("is no address, address range or host name")

// checkHostName refuses what cannot be a host name, so that frequent mistakes are named as such
// instead of going to the name servers.
func checkHostName(s string) error {
	switch {
	case strings.Contains(s, ","):
		return errors.New("has a comma; separate the entries by spaces")
	case strings.Contains(s, ":"):
		return errors.New("is no address, address range or host name; give it without a port")
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_':
		default:
			return errNoMailServer
		}
	}
	// No top-level domain is a number, but mistyped addresses end in one.
	s = strings.TrimSuffix(s, ".")
	if top := s[strings.LastIndexByte(s, '.')+1:]; leadingDigits(top) == top {
		return errNoMailServer
	}
	return nil
}

// ErrLater says of a name that its backends come later: it does not resolve now.
var ErrLater = errors.New("does not resolve now")

// resolveHost returns the addresses of a host name, each once.
func resolveHost(
	host string, resolve func(host string) ([]Target, error),
) (targets []Target, err error) {
	if resolve == nil {
		return nil, errors.New("host names cannot be used here; give the address")
	}
	found, err := resolve(host)
	if errors.Is(err, ErrLater) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("unknown mail server: %w", err)
	}
	for _, t := range found {
		if !t.Addr.IsValid() || t.Addr.Zone() != "" {
			return nil, fmt.Errorf(
				"resolves to %s, which cannot be a mail server; give an address", t.Addr)
		}
		t.Addr, t.VHosts = t.Addr.Unmap(), min(max(t.VHosts, 0), MaxVHosts)
		if !slices.ContainsFunc(targets, func(known Target) bool { return known.Addr == t.Addr }) {
			targets = append(targets, t)
		}
	}
	if len(targets) == 0 {
		return nil, errors.New("unknown mail server: the name has no address")
	}
	return targets, nil
}
