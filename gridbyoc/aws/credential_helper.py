"""Ask a running gridbyoc for AWS credentials: the program in the ``credential_process`` that Terraform gets.

It is started as a file, with ``-I -S`` and few imports, because an SDK waits for it at every command.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

import _socket
import sys


def main(address: str, number: str) -> int:
    """Print the answer of the process at ``address`` for profile ``number``; return 1 if it has no credentials."""
    try:
        connection = _socket.socket(_socket.AF_UNIX)
        connection.connect(address)
        connection.send(f"{number}\n".encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    except OSError as error:
        sys.stderr.write(f"the gridbyoc that started this Terraform does not answer: {error.strerror}\n")
        return 1
    verdict, _, text = b"".join(parts).decode().partition("\n")
    (sys.stdout if verdict == "credentials" else sys.stderr).write(text or "the gridbyoc run has ended\n")
    return 0 if verdict == "credentials" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
