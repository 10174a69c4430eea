#!/bin/sh
echo "main $1"
