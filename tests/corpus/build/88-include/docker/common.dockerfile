ENV A=common
COPY f /f
RUN echo "$A $(cat /f)" > /x
