SECRET_KEY = "for tests"
STATIC_URL = "/static/"
STATIC_ROOT = "/site/collected"
STATICFILES_DIRS = ["/site/static"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
USE_TZ = True
