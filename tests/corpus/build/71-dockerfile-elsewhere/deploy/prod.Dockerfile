FROM busybox
COPY f /f
