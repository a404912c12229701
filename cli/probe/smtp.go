package probe

// lmtpDialogue: RFC 2033: SMTP with LHLO. There is no login.
func lmtpDialogue(c *conn, _ *Login) error { return smtpDialogue(c, "LHLO", nil) }

// submissionDialogue: RFC 6409 and RFC 4954.
func submissionDialogue(c *conn, login *Login) error { return smtpDialogue(c, "EHLO", login) }

// helloName is how we introduce ourselves: RFC 5321, 4.1.3 allows an address of the sender's.
const helloName = "[127.0.0.1]"

func smtpDialogue(c *conn, hello string, login *Login) error {
	code, said, err := smtpReply(c)
	switch {
	case err != nil:
		return err
	case code == "421" || code == "554" || code[0] == '4':
		return &problem{NotServing, "it greets with " + quote(said)}
	case code != "220":
		return unexpected("greeting", said)
	}
	greet := func() error {
		code, said, err := smtpCommand(c, hello+" "+helloName)
		switch {
		case err != nil:
			return err
		case code == "421":
			return &problem{NotServing, "it answers " + hello + " with " + quote(said)}
		case code != "250":
			return unexpected("answer", said)
		}
		return nil
	}
	if err := greet(); err != nil {
		return err
	}
	if c.check.Encryption == StartTLS {
		code, said, err := smtpCommand(c, "STARTTLS")
		if err != nil {
			return err
		}
		if code != "220" {
			return noStartTLS(said)
		}
		if err := c.startTLS(); err != nil {
			return err
		}
		if err := greet(); err != nil {
			return err
		}
	}
	if login != nil {
		code, said, err := smtpCommand(c, "AUTH PLAIN "+login.plain())
		if err != nil {
			return err
		}
		if code != "235" {
			return noLogin(said)
		}
	}
	return c.bye("QUIT")
}

func smtpCommand(c *conn, command string) (code, said string, err error) {
	if err := c.say(command); err != nil {
		return "", "", err
	}
	return smtpReply(c)
}

// smtpReply reads a reply. said is its last line.
func smtpReply(c *conn) (code, said string, err error) {
	said, err = c.lines(func(line string) bool {
		return !isSMTP(line) || len(line) == 3 || line[3] != '-'
	})
	if err != nil {
		return "", "", err
	}
	if !isSMTP(said) {
		return "", "", unexpected("answer", said)
	}
	return said[:3], said, nil
}

// isSMTP reports whether a line begins with a code of three digits, and a blank or a dash. A bare
// code is taken for one with a blank.
func isSMTP(line string) bool {
	if len(line) == 3 {
		line += " "
	}
	if len(line) < 4 || line[3] != ' ' && line[3] != '-' || line[0] < '2' || line[0] > '5' {
		return false
	}
	return line[1] >= '0' && line[1] <= '9' && line[2] >= '0' && line[2] <= '9'
}
