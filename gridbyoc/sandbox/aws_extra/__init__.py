"""Responses of the local AWS for operations that moto lacks: a layer in front of moto's application.

There is one file per API. Each docstring names the API whose format it follows. Requests are read and responses written
through botocore's service models; the tests compare every response with botocore's own parser. Operations that are not
named in ``extras`` go to moto unchanged.
"""
