package probe

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Protocol is what a server speaks at a port.
type Protocol string

// The protocols. TCP means that an open connection is enough.
const (
	TCP         Protocol = "tcp"
	IMAP        Protocol = "imap"
	POP3        Protocol = "pop3"
	LMTP        Protocol = "lmtp"
	ManageSieve Protocol = "managesieve"
	Submission  Protocol = "submission"
)

// dialogues are the protocols with what is said in each of them.
var dialogues = map[Protocol]func(c *conn, login *Login) error{
	TCP:         tcpDialogue,
	IMAP:        imapDialogue,
	POP3:        pop3Dialogue,
	LMTP:        lmtpDialogue,
	ManageSieve: sieveDialogue,
	Submission:  submissionDialogue,
}

// Encryption is when TLS begins at a port.
type Encryption int

// The kinds of encryption.
const (
	Plain    Encryption = iota
	TLS                 // at once
	StartTLS            // when the client asks for it
)

// Check is one question to a server.
type Check struct {
	Protocol   Protocol
	Port       uint16
	Encryption Encryption
	// Proxy is the version of the PROXY protocol header that the server expects first; 0: none.
	Proxy int
}

// MaxChecks is how many checks a list may have.
const MaxChecks = 16

// ParseChecks reads a list of checks; an empty list has none. No two may be the same.
func ParseChecks(list string) ([]Check, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var checks []Check
	for item := range strings.SplitSeq(list, ",") {
		check, err := parseCheck(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		for _, before := range checks {
			if before == check {
				return nil, fmt.Errorf("%q stands there twice", check)
			}
		}
		checks = append(checks, check)
	}
	if len(checks) > MaxChecks {
		return nil, fmt.Errorf("%d checks are too many; the most is %d", len(checks), MaxChecks)
	}
	return checks, nil
}

func parseCheck(text string) (c Check, err error) {
	base, options, optional := strings.Cut(text, "+")
	name, port, found := strings.Cut(base, ":")
	c.Protocol = Protocol(name)
	if dialogues[c.Protocol] == nil {
		return c, fmt.Errorf(
			"%q is no check; give PROTOCOL:PORT with one of imap, pop3, lmtp, managesieve, "+
				"submission and tcp, for example imap:143", text)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if !found || err != nil || number == 0 {
		return c, fmt.Errorf("%q has no port from 1 to 65535; give one as in imap:143", text)
	}
	c.Port = uint16(number)
	if !optional {
		return c, nil
	}
	if err = c.addOptions(strings.Split(options, "+")); err != nil {
		return c, fmt.Errorf("%q: %w", text, err)
	}
	return c, nil
}

func (c *Check) addOptions(options []string) error {
	for _, option := range options {
		switch option {
		case "":
			return errors.New("an option is missing behind +")
		case "tls", "starttls":
			if c.Encryption != Plain {
				return errors.New("TLS is asked for twice; give tls or starttls once")
			}
			c.Encryption = TLS
			if option == "starttls" {
				c.Encryption = StartTLS
			}
		case "proxy1", "proxy2":
			if c.Proxy != 0 {
				return errors.New("a PROXY header is asked for twice; give proxy1 or proxy2 once")
			}
			c.Proxy = int(option[len(option)-1] - '0')
		default:
			return fmt.Errorf("%q is no option; there are tls, starttls, proxy1 and proxy2", option)
		}
	}
	if c.Protocol == TCP && c.Encryption == StartTLS {
		return errors.New("tcp has no starttls; name the protocol")
	}
	return nil
}

// String returns a check as ParseChecks reads it.
func (c Check) String() string {
	text := string(c.Protocol) + ":" + strconv.Itoa(int(c.Port))
	switch c.Encryption {
	case TLS:
		text += "+tls"
	case StartTLS:
		text += "+starttls"
	}
	if c.Proxy != 0 {
		text += "+proxy" + strconv.Itoa(c.Proxy)
	}
	return text
}
