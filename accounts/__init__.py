"""Who you are: users, the first account, sign-in, email."""
