package probe

import "strings"

// pop3Dialogue: RFC 1939: answers begin with +OK or -ERR; STLS is of RFC 2595.
func pop3Dialogue(c *conn, login *Login) error {
	greeting, err := c.line()
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(greeting, "-ERR"):
		return &problem{NotServing, "it greets with " + quote(greeting)}
	case !strings.HasPrefix(greeting, "+OK"):
		return unexpected("greeting", greeting)
	}
	if c.check.Encryption == StartTLS {
		if err := pop3Command(c, "STLS", noStartTLS); err != nil {
			return err
		}
		if err := c.startTLS(); err != nil {
			return err
		}
	}
	if login != nil {
		for _, command := range []string{"USER " + login.User, "PASS " + login.Password} {
			if err := pop3Command(c, command, noLogin); err != nil {
				return err
			}
		}
	}
	return c.bye("QUIT")
}

// pop3Command gives a command; refused is the problem if the server does not take it.
func pop3Command(c *conn, command string, refused func(said string) error) error {
	if err := c.say(command); err != nil {
		return err
	}
	said, err := c.line()
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(said, "-ERR"):
		return refused(said)
	case !strings.HasPrefix(said, "+OK"):
		return unexpected("answer", said)
	}
	return nil
}
