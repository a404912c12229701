package webauth

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Rights say who may do what: lists of user:NAME and cert:SAN, and the hosts for which changes are
// taken. Who is in none of the lists may do nothing.
type Rights struct {
	Readers []string // may ask queries
	Admins  []string // may do everything
	Hosts   []string // HOST or HOST:PORT, as clients write them in the URL
}

// ParseNames reads a list of user:NAME and cert:SAN, with commas between.
func ParseNames(text string) ([]string, error) {
	var names []string
	for _, item := range items(text) {
		kind, name, _ := strings.Cut(item, ":")
		switch {
		case kind == "user" && name != "" && !strings.Contains(name, ":"):
		case kind == "cert":
			san, form := normalSAN(name)
			if form == sanNone {
				return nil, fmt.Errorf("%q has no name that a certificate can have", item)
			}
			item = "cert:" + san
		default:
			return nil, fmt.Errorf("%q is not user:NAME or cert:NAME; "+
				"NAME is in basic_auth_users, or an alternative name of a certificate", item)
		}
		names = append(names, item)
	}
	return names, nil
}

// ParseHosts reads a list of HOST or HOST:PORT, with commas between.
func ParseHosts(text string) ([]string, error) {
	var hosts []string
	for _, item := range items(text) {
		host, ok := normalHost(item)
		if !ok {
			return nil, fmt.Errorf("%q is not HOST or HOST:PORT, such as d1.example.org", item)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// items splits at commas. Names may have blanks inside.
func items(text string) (all []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

// normalHost returns a host, with its port if it has one, in the form in which hosts are compared.
func normalHost(text string) (string, bool) {
	host, port := text, ""
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return addr.Unmap().String(), true
	}
	if h, p, err := net.SplitHostPort(text); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "", false
		}
		host, port = h, p
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	} else if strings.Contains("."+host+".", "..") || strings.ContainsFunc(host, notInHosts) {
		return "", false
	}
	if port == "" {
		return host, true
	}
	return net.JoinHostPort(host, port), true
}

func notInHosts(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) &&
		!strings.ContainsRune("-._", r)
}

// hasHost reports whether changes are taken for the host of a request. A host that is configured
// without a port is good for all ports.
func (r Rights) hasHost(of string) bool {
	host, ok := normalHost(of)
	if !ok {
		return false
	}
	if slices.Contains(r.Hosts, host) {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	return err == nil && slices.Contains(r.Hosts, name)
}

// role is what somebody may do.
type role int

const (
	roleNone role = iota
	roleReader
	roleAdmin
)

// roleOf returns the highest role of somebody who has proved these names, and the name that has it;
// the first name if none has.
func (r Rights) roleOf(names []string) (string, role) {
	for _, l := range []struct {
		list []string
		role role
	}{{r.Admins, roleAdmin}, {r.Readers, roleReader}} {
		for _, name := range names {
			if slices.Contains(l.list, name) {
				return name, l.role
			}
		}
	}
	return names[0], roleNone
}
