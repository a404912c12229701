package probe

import "strings"

func tcpDialogue(*conn, *Login) error { return nil }

// imapDialogue: RFC 9051, 7.1: the greeting is * OK, * PREAUTH or * BYE.
func imapDialogue(c *conn, login *Login) error {
	greeting, err := c.line()
	if err != nil {
		return err
	}
	switch word, _, _ := strings.Cut(strings.TrimPrefix(greeting, "* "), " "); {
	case !strings.HasPrefix(greeting, "* "):
		return unexpected("greeting", greeting)
	case strings.EqualFold(word, "BYE"):
		return &problem{NotServing, "it greets with " + quote(greeting)}
	case !strings.EqualFold(word, "OK") && !strings.EqualFold(word, "PREAUTH"):
		return unexpected("greeting", greeting)
	}
	if c.check.Encryption == StartTLS {
		said, err := imapCommand(c, "1", "STARTTLS")
		if err != nil {
			return err
		}
		if !imapOK(said) {
			return noStartTLS(said)
		}
		if err := c.startTLS(); err != nil {
			return err
		}
	}
	if login != nil {
		said, err := imapCommand(c, "2", "LOGIN "+quoted(login.User)+" "+quoted(login.Password))
		if err != nil {
			return err
		}
		if !imapOK(said) {
			return noLogin(said)
		}
	}
	return c.bye("3 LOGOUT")
}

// imapCommand returns the result of a command, without its tag.
func imapCommand(c *conn, tag, command string) (string, error) {
	if err := c.sayTagged(tag+" ", command); err != nil {
		return "", err
	}
	said, err := c.lines(func(line string) bool {
		return strings.HasPrefix(line, tag+" ") || !strings.HasPrefix(line, "* ")
	})
	if err != nil {
		return "", err
	}
	result, ours := strings.CutPrefix(said, tag+" ")
	if !ours {
		return "", unexpected("answer", said)
	}
	return result, nil
}

func imapOK(result string) bool {
	word, _, _ := strings.Cut(result, " ")
	return strings.EqualFold(word, "OK")
}
